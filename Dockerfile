# One image for web, worker, beat and sweep: the command tells them apart (docker-compose.yml).
FROM python:3.11-slim AS build
WORKDIR /build
RUN pip install --no-cache-dir uv==0.13.9 && python -m venv /venv
COPY requirements.txt .
RUN VIRTUAL_ENV=/venv uv pip install --no-cache --compile-bytecode --requirement requirements.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DATA_DIR=/data \
    STATIC_ROOT=/app/staticfiles
WORKDIR /app
RUN useradd --system --uid 10001 --home-dir /app --shell /usr/sbin/nologin laurel \
    && mkdir /data && chown laurel:laurel /data
COPY --from=build /venv /venv
COPY LICENSE manage.py gunicorn.conf.py ./
COPY rewards rewards
COPY incentives incentives
COPY templates templates
COPY static static
# Only for collecting: neither value is kept in the image.
RUN SECRET_KEY=only-for-the-build FIELD_ENCRYPTION_KEYS=only-for-the-build DATA_DIR=/tmp/build \
    python manage.py collectstatic --noinput && rm -r /tmp/build
USER laurel
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=4 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
CMD ["gunicorn", "incentives.wsgi"]
