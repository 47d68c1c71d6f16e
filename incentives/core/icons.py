"""The icons, drawn for this project on a grid of 16: outlines in the colour of the text around them."""

ICONS = {
    "home": '<path d="M2.5 7.5 8 2.75l5.5 4.75M4 6.5v6.75h8V6.5M6.75 13.25v-3.5h2.5v3.5"/>',
    "programs": '<path d="M5 2.5h6v4a3 3 0 0 1-6 0zM5 3.75H2.75V5A2.25 2.25 0 0 0 5 7.25M11 3.75h2.25V5A2.25 2.25 0 0 1 '
    '11 7.25M8 9.5v2M5.5 13.5h5M8 11.5c-1 0-1.5 1-1.5 2m3 0c0-1-.5-2-1.5-2"/>',
    "activities": '<path d="M1.5 8h2.75l2-4.75 3.5 9.5 2-4.75h2.75"/>',
    "payouts": '<rect x="1.75" y="4" width="12.5" height="8" rx="1.5"/><circle cx="8" cy="8" r="1.75"/>'
    '<path d="M4.25 8h.01M11.75 8h.01"/>',
    "orders": '<path d="M2.5 6h11v2.25h-11zM3.5 8.25h9v5.25h-9zM8 6v7.5M8 6C6.5 6 4.75 5.5 4.75 4S7.5 2.75 8 6c.5-3.25 '
    '3.25-3.5 3.25-2S9.5 6 8 6"/>',
    "budgets": '<path d="M2.25 4.75v7a1.5 1.5 0 0 0 1.5 1.5h8.5a1.5 1.5 0 0 0 1.5-1.5v-4a1.5 1.5 0 0 0-1.5-1.5H3.75a1.5 '
    '1.5 0 0 1 0-3h7.5v3M11 9.75h.01"/>',
    "participants": '<circle cx="6" cy="5.25" r="2.25"/><path d="M1.75 13c.25-2.5 2-4 4.25-4s4 1.5 4.25 4M10.5 3.2a2.25 '
    '2.25 0 0 1 0 4.1M11.75 9.4c1.5.5 2.35 1.85 2.5 3.6"/>',
    "connections": '<path d="M6 2v3M10 2v3M4.25 5h7.5v2.5a3.75 3.75 0 0 1-7.5 0zM8 11.25V14"/>',
    "people": '<path d="M8 1.75 13 3.5v4c0 3.25-2 5.5-5 6.75-3-1.25-5-3.5-5-6.75v-4zM5.9 7.9l1.5 1.5 2.8-3"/>',
    "audit": '<path d="M3.25 2.25h9.5v11.5h-9.5zM5.75 5.25h4.5M5.75 8h4.5M5.75 10.75h2.5"/>',
    "reports": '<path d="M2.5 13.5h11M4.25 11V7.5M8 11V3.5M11.75 11V6"/>',
    "star": '<path d="m8 2 1.8 3.7 4.1.6-3 2.9.7 4L8 11.3l-3.6 1.9.7-4-3-2.9 4.1-.6z"/>',
    "style": '<path d="M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3z"/><circle cx="11" cy="11" r="2"/>',
    "search": '<circle cx="7" cy="7" r="4.25"/><path d="m10.25 10.25 3.25 3.25"/>',
    "filter": '<path d="M2 4h12M4.5 8h7M6.75 12h2.5"/>',
    "sort": '<path d="m5 6 3-3 3 3M5 10l3 3 3-3"/>',
    "up": '<path d="M8 12.75v-9.5M4 7.25l4-4 4 4"/>',
    "down": '<path d="M8 3.25v9.5M4 8.75l4 4 4-4"/>',
    "left": '<path d="M10 3.5 5.5 8l4.5 4.5"/>',
    "right": '<path d="M6 3.5 10.5 8 6 12.5"/>',
    "chevron": '<path d="m4 6 4 4 4-4"/>',
    "updown": '<path d="m5 6 3-3 3 3M5 10l3 3 3-3"/>',
    "menu": '<path d="M2.25 4.5h11.5M2.25 8h11.5M2.25 11.5h11.5"/>',
    "more": '<path d="M3.5 8h.01M8 8h.01M12.5 8h.01" stroke-width="2"/>',
    "plus": '<path d="M8 3v10M3 8h10"/>',
    "x": '<path d="m4 4 8 8M12 4l-8 8"/>',
    "check": '<path d="m3 8.5 3.25 3.25L13 4.5"/>',
    "done": '<circle cx="8" cy="8" r="6"/><path d="m5.25 8.25 2 2 3.5-4"/>',
    "clock": '<circle cx="8" cy="8" r="6"/><path d="M8 4.75V8l2.25 1.5"/>',
    "pause": '<circle cx="8" cy="8" r="6"/><path d="M6.5 6v4M9.5 6v4"/>',
    "stop": '<circle cx="8" cy="8" r="6"/><path d="M6.25 6.25h3.5v3.5h-3.5z"/>',
    "play": '<circle cx="8" cy="8" r="6"/><path d="M6.75 5.75v4.5L10.5 8z"/>',
    "failed": '<circle cx="8" cy="8" r="6"/><path d="m6 6 4 4M10 6l-4 4"/>',
    "ban": '<circle cx="8" cy="8" r="6"/><path d="m3.8 3.8 8.4 8.4"/>',
    "alert": '<path d="M8 2.25 14.25 13H1.75zM8 6.5v3M8 11.25h.01"/>',
    "info": '<circle cx="8" cy="8" r="6"/><path d="M8 7.5v3.25M8 5.25h.01"/>',
    "question": '<circle cx="8" cy="8" r="6"/><path d="M6.4 6.4a1.65 1.65 0 1 1 2.4 1.5c-.5.3-.8.6-.8 1.1M8 11.25h.01"/>',
    "dot": '<circle cx="8" cy="8" r="2.5" fill="currentColor"/>',
    "circle": '<circle cx="8" cy="8" r="5.5" stroke-dasharray="2.2 2.2"/>',
    "send": '<path d="M14 2 7 9M14 2 9.75 14 7 9 2 6.25z"/>',
    "truck": '<path d="M1.5 4h8v7h-8zM9.5 6.5h3l2 2.25V11h-5"/><circle cx="4.5" cy="11.75" r="1.25"/>'
    '<circle cx="11.75" cy="11.75" r="1.25"/>',
    "refresh": '<path d="M13.25 8a5.25 5.25 0 1 1-1.6-3.75M13.5 2v2.75h-2.75"/>',
    "download": '<path d="M8 2.5v7.25M4.75 6.75 8 10l3.25-3.25M2.75 13.25h10.5"/>',
    "upload": '<path d="M8 10V2.75M4.75 5.75 8 2.5l3.25 3.25M2.75 13.25h10.5"/>',
    "copy": '<rect x="5.5" y="5.5" width="8" height="8" rx="1.5"/><path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 '
    '0 2.5 4v5A1.5 1.5 0 0 0 4 10.5h1.5"/>',
    "external": '<path d="M9 2.75h4.25V7M13.25 2.75 7.5 8.5M6.5 3.75H3.75a1 1 0 0 0-1 1v7.5a1 1 0 0 0 1 1h7.5a1 1 0 0 0 '
    '1-1V9.5"/>',
    "eye": '<path d="M1.5 8C3 5.25 5.25 3.75 8 3.75S13 5.25 14.5 8C13 10.75 10.75 12.25 8 12.25S3 10.75 1.5 8z"/>'
    '<circle cx="8" cy="8" r="2"/>',
    "lock": '<rect x="3.25" y="7" width="9.5" height="6.5" rx="1.5"/><path d="M5.25 7V5.25a2.75 2.75 0 0 1 5.5 0V7"/>',
    "mail": '<rect x="1.75" y="3.25" width="12.5" height="9.5" rx="1.5"/><path d="m2.25 4.5 5.75 4.25 5.75-4.25"/>',
    "edit": '<path d="m3 10.75-.5 2.75 2.75-.5 7.25-7.25-2.25-2.25z"/><path d="m9 4.75 2.25 2.25"/>',
    "trash": '<path d="M2.75 4.25h10.5M6.25 4.25V2.5h3.5v1.75M4.25 4.25l.5 9.25h6.5l.5-9.25"/>',
    "calendar": '<rect x="2.25" y="3.25" width="11.5" height="10.25" rx="1.5"/><path d="M2.25 6.75h11.5M5.25 1.75v3M10.75 '
    '1.75v3"/>',
    "signout": '<path d="M6.25 2.75h-3v10.5h3M10 5l3 3-3 3M13 8H6.5"/>',
    "user": '<circle cx="8" cy="5.25" r="2.5"/><path d="M3 13.25c.3-2.6 2.3-4.25 5-4.25s4.7 1.65 5 4.25"/>',
    "gift": '<path d="M2.5 6h11v2.25h-11zM3.5 8.25h9v5.25h-9zM8 6v7.5M8 6C6.5 6 4.75 5.5 4.75 4S7.5 2.75 8 6c.5-3.25 '
    '3.25-3.5 3.25-2S9.5 6 8 6"/>',
    "flag": '<path d="M3.75 14V2.5M3.75 3h8l-1.5 2.75 1.5 2.75h-8"/>',
    "key": '<circle cx="5.25" cy="10.75" r="2.75"/><path d="m7.25 8.75 6-6M11 5l1.75 1.75M9.25 6.75l1.25 1.25"/>',
}
