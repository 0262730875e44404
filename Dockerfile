# One image for every process of docker-compose.yml. It holds no secret: settings come from the environment at the start.
FROM python:3.12-slim-bookworm AS build

# The Makefile's uv; tests/test_docker.py compares the two.
ARG UV_VERSION=0.13.9
ENV UV_PROJECT_ENVIRONMENT=/sosik/.venv \
    UV_PYTHON_DOWNLOADS=never \
    UV_LINK_MODE=copy \
    UV_COMPILE_BYTECODE=1
WORKDIR /sosik
RUN pip install --no-cache-dir "uv==${UV_VERSION}"
# Dependencies first: a change of the code alone does not install them anew.
COPY pyproject.toml uv.lock ./
RUN uv sync --frozen --no-dev --no-cache
COPY . .
# DEBUG for this one command: it signs and sends nothing, so it needs no key of yours.
RUN env SOSIK_ENV_FILE= DEBUG=1 .venv/bin/python manage.py collectstatic --noinput \
    && .venv/bin/python -m compileall -q config newsletter subscribers

FROM python:3.12-slim-bookworm
ENV PATH=/sosik/.venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SOSIK_ENV_FILE="" \
    DJANGO_SETTINGS_MODULE=config.settings \
    GUNICORN_CMD_ARGS=--no-control-socket
RUN useradd --system --uid 10001 --no-create-home --home-dir /sosik --shell /usr/sbin/nologin sosik
WORKDIR /sosik
# The code stays root's: the process that runs it cannot change it.
COPY --from=build /sosik /sosik
USER 10001
EXPOSE 8000
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "4"]
