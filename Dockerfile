FROM python:3.13-slim AS build

WORKDIR /src
RUN python -m venv /opt/gateway
# The dependencies first: they change less often than the code.
COPY constraints.txt pyproject.toml README.md ./
COPY gateway/__init__.py gateway/
RUN /opt/gateway/bin/pip install --no-cache-dir -c constraints.txt '.[otel,postgres,uvloop]'
COPY gateway gateway
RUN /opt/gateway/bin/pip install --no-cache-dir --no-deps --force-reinstall .


FROM python:3.13-slim

RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/gateway gateway
COPY --from=build /opt/gateway /opt/gateway
COPY config.example.yaml /etc/gateway/config.yaml
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1

# The SQLite database of the example configuration is written to the working directory.
USER gateway
WORKDIR /var/lib/gateway
VOLUME /var/lib/gateway
EXPOSE 8080

HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8080/healthz', timeout=4)"]

ENTRYPOINT ["gateway"]
CMD ["serve", "-c", "/etc/gateway/config.yaml"]
