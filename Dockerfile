# Two stages: `build` makes a virtual environment with the pinned dependencies, `final` is that environment and nothing more.
# The operator: python -m qianfan_operator. The simulator, for demos: python -m qianfan_simulator.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/qianfan
# Dependencies first: this layer stays while only the code changes.
COPY constraints.txt pyproject.toml ./
RUN /opt/build/bin/pip install --no-cache-dir hatchling -c constraints.txt \
    && /opt/build/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needs.txt \
    && /opt/build/bin/pip --python /opt/qianfan/bin/python install --no-cache-dir -r needs.txt -c constraints.txt
COPY README.md LICENSE ./
COPY operator/ operator/
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/qianfan/bin/python install --no-cache-dir --no-deps /dist/*.whl

FROM ${BASE} AS final
COPY --from=build /opt/qianfan /opt/qianfan
# The user is a number with no line in /etc/passwd, and kopf wants a name to call itself by.
ENV PATH=/opt/qianfan/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOGNAME=qianfan
# A number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8080
CMD ["python", "-m", "qianfan_operator"]
