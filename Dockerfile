# The quickstart on a CPU. TORCH_INDEX is the CPU index that PyTorch's install page names: without it pip takes the
# CUDA build, which is gigabytes.
#
#     docker build --build-arg TORCH_INDEX=URL -t medxiaohe .
#     docker run --rm -v "$PWD/out:/work/out" medxiaohe run quickstart
FROM python:3.11-slim
ARG TORCH_INDEX=""
WORKDIR /work
COPY . /src
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
    -c /src/constraints/cpu.txt "/src[train,fast]" && useradd --create-home user && mkdir -p out && chown user . out
USER user
ENV PATH=/venv/bin:$PATH
ENTRYPOINT ["medxiaohe"]
CMD ["--help"]
