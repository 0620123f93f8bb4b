# genlab in a container. CPU by default:
#   docker build -t genlab . && docker run --rm -v "$PWD/outputs:/work/outputs" genlab train
# With CUDA (needs the NVIDIA container toolkit on the host):
#   docker build -t genlab:cuda --build-arg TORCH=cuda . && docker run --rm --gpus all genlab:cuda train accelerator=gpu
FROM python:3.12-slim-bookworm

# cpu: PyTorch's own index of CPU builds, a fifth of the size; cuda: the default builds, which carry the CUDA libraries.
ARG TORCH=cpu
ARG CPU_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY genlab genlab
COPY hydra_plugins hydra_plugins
COPY conf conf
RUN if [ "$TORCH" = cpu ]; then pip install --index-url "$CPU_INDEX" "torch>=2.9,<2.15" "torchvision>=0.24,<0.30"; fi \
    && pip install .

RUN useradd --create-home genlab && mkdir -p /work/outputs && chown -R genlab /work
USER genlab
WORKDIR /work
ENTRYPOINT ["genlab"]
CMD ["--help"]
