# genlab in a container; linted, not yet built. CPU by default:
#   docker build -t genlab . && docker run --rm -v "$PWD/outputs:/genlab/outputs" genlab train
# With CUDA (needs the NVIDIA container toolkit on the host):
#   docker build -t genlab:cuda --build-arg TORCH=cu130 . && docker run --rm --gpus all genlab:cuda train accelerator=gpu
FROM python:3.12-slim-bookworm

# Which builds of PyTorch: cpu (a fifth of the size), or a CUDA version such as cu130.
ARG TORCH=cpu

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY genlab genlab
COPY hydra_plugins hydra_plugins
COPY conf conf
RUN pip install "uv>=0.7,<1" && uv pip install --system --no-cache --torch-backend="$TORCH" .

RUN useradd --create-home --uid 1000 genlab && mkdir -p /genlab/outputs && chown -R genlab /genlab
USER 1000
WORKDIR /genlab
ENTRYPOINT ["genlab"]
CMD ["--help"]
