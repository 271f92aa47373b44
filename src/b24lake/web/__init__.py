"""The web app: pages and a JSON API over `control` and `lake`.

app        the application: settings, middleware, routers
security   headers, who may ask (Host, Origin), forms that cannot be forged
language   English and others: texts, numbers, dates
rendering  templates, and what they share
assets     our static files and the vendored ones, compressed once
querying   SQL for people and programs, and what they download
completing what the SQL editor offers
pages/     one module per group of pages
"""
