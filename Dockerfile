# The image of the operator, which is the default, and with `--target simulator` that of the simulator.
#
# A build stage makes a virtual environment with the pinned dependencies, and a root file system that holds it, the
# interpreter and their libraries. An image is that and nothing more: no shell, no pip, no package manager.
#
# The base goes by its digest; the name before it is for people. Renew: docker buildx imagetools inspect python:3.13-slim
ARG BASE=python:3.13.15-slim-trixie@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b

FROM ${BASE} AS build
WORKDIR /src
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/qianfan
# Dependencies first: this layer stays while only the code changes.
COPY constraints.txt pyproject.toml ./
COPY image/ image/
# A base may bring an older pip, which takes no hashes from constraints.
RUN python3 image/requirements.py pip > pip.txt && python3 image/requirements.py hatchling > build.txt \
    && python3 image/requirements.py > run.txt \
    && /opt/build/bin/python -m pip install --no-cache-dir --require-hashes -r pip.txt \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes -r build.txt -c constraints.txt \
    && /opt/build/bin/pip --python /opt/qianfan/bin/python install --no-cache-dir --no-compile \
       --require-hashes -r run.txt -c constraints.txt
COPY README.md LICENSE ./
COPY operator/ operator/
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/build/bin/pip --python /opt/qianfan/bin/python install --no-cache-dir --no-compile --no-deps /dist/*.whl \
    && python3 image/root.py /opt/qianfan /root-fs

FROM build AS build-simulator
RUN python3 image/requirements.py aiohttp > simulator.txt && python3 -m venv --without-pip /opt/simulator \
    && /opt/build/bin/pip --python /opt/simulator/bin/python install --no-cache-dir --no-compile \
       --require-hashes -r simulator.txt -c constraints.txt \
    && /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist-simulator \
       operator/qianfan_simulator \
    && /opt/build/bin/pip --python /opt/simulator/bin/python install --no-cache-dir --no-compile --no-deps \
       /dist-simulator/*.whl \
    && python3 image/root.py /opt/simulator /root-fs-simulator

FROM scratch AS simulator
COPY --from=build-simulator /root-fs-simulator /
ENV PATH=/opt/simulator/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8080
CMD ["python", "-m", "qianfan_simulator", "--host=0.0.0.0", "--port=8080"]

FROM scratch AS operator
COPY --from=build /root-fs /
# The user is a number with no line in /etc/passwd, and kopf wants a name to call itself by.
ENV PATH=/opt/qianfan/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LOGNAME=qianfan
# A number, so that runAsNonRoot can be checked.
USER 65532:65532
EXPOSE 8080
CMD ["python", "-m", "qianfan_operator"]
