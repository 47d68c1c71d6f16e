"""The web server's settings; every value can be changed through GUNICORN_CMD_ARGS or WEB_CONCURRENCY.

Threads, because a request waits for the database and never for the provider. No access log: paths of incoming hooks carry
their token, and only Laurel's own log redacts them.
"""

import os

bind = "0.0.0.0:8000"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = 4
timeout = 60
graceful_timeout = 30
max_requests = 5000  # a leak guard
max_requests_jitter = 500
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: S108 (a heartbeat file must not wait for a disk)
control_socket_disable = True
