FROM python:3.13-slim AS packages
# The same path as in the final image, because scripts of a virtual environment contain it.
RUN python -m venv /srv/venv
# With both servers; SERVER chooses one when the container starts.
COPY requirements-granian.txt /tmp/requirements.txt
# Wheels only, so that no build tools are needed.
RUN /srv/venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-compile --only-binary :all: \
      -r /tmp/requirements.txt \
    && /srv/venv/bin/python -m compileall -q /srv/venv/lib \
    && /srv/venv/bin/pip uninstall --quiet --yes pip

FROM python:3.13-slim
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    PATH=/srv/venv/bin:$PATH \
    FLASK_APP=wsgi.py \
    HOST=0.0.0.0 \
    PORT=8000
# A numeric user lets Kubernetes verify that it is not root.
RUN groupadd --gid 10001 tasks \
    && useradd --uid 10001 --gid tasks --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin tasks \
    && install -d -o tasks -g tasks -m 0700 /data
WORKDIR /srv/tasks
COPY --from=packages /srv/venv /srv/venv
COPY pyproject.toml wsgi.py gunicorn.conf.py gunicorn_worker.py ./
COPY deploy/serve.py deploy/granian_server.py deploy/
COPY docs/api.md docs/
COPY deploy/entrypoint.sh deploy/new_env.py deploy/
COPY migrations migrations
COPY app app
# SQLite and the secret of a start without settings go to the volume.
RUN ln -s /data instance && ln -s instance/.env .env
# Root owns the code, so the service cannot change it.
RUN python -m compileall -q app migrations deploy wsgi.py gunicorn_worker.py
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=2)"]
ENTRYPOINT ["deploy/entrypoint.sh"]
CMD ["python", "deploy/serve.py"]
