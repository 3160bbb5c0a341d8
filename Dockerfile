# syntax=docker/dockerfile:1
# One image for each service, with the dependencies of that service alone (the code is one wheel):
# docker build --target totp .

FROM python:3.13-slim AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
# Key files are made by one container and read by another: all of them are the same user.
RUN useradd --uid 10001 --create-home countersign \
    && install --directory --owner=countersign --mode=0700 /keys \
        /keys/session /keys/totp /keys/recovery /keys/webauthn /keys/audit /keys/operator \
        /keys/public /checkpoints
ENTRYPOINT ["countersign"]

FROM base AS wheel
COPY requirements/build.txt .
RUN pip install --require-hashes -r build.txt
WORKDIR /source
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY services services
COPY shared shared
COPY packages packages
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel . ./packages/countersign-events

FROM base AS session
COPY requirements/session.txt .
RUN pip install --require-hashes -r session.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-deps /wheel/*.whl
USER countersign
CMD ["serve", "session"]

FROM base AS totp
COPY requirements/totp.txt .
RUN pip install --require-hashes -r totp.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-deps /wheel/*.whl
USER countersign
CMD ["serve", "totp"]

FROM base AS recovery
COPY requirements/recovery.txt .
RUN pip install --require-hashes -r recovery.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-deps /wheel/*.whl
USER countersign
CMD ["serve", "recovery"]

FROM base AS audit
COPY requirements/audit.txt .
RUN pip install --require-hashes -r audit.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-deps /wheel/*.whl
USER countersign
CMD ["serve", "audit"]

FROM base AS webauthn
COPY requirements/webauthn.txt .
RUN pip install --require-hashes -r webauthn.txt
RUN --mount=type=bind,from=wheel,source=/wheel,target=/wheel pip install --no-deps /wheel/*.whl
USER countersign
CMD ["serve", "webauthn"]
