# One image for the Ray nodes, the driver and the MLflow server: what they pickle and speak must be of one version.
FROM python:3.11.13-slim-bookworm

# git, because each trial's journal names the commit that trained it
RUN apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*

RUN useradd --create-home --uid 1000 sweeper && install --directory --owner sweeper /lab /data
USER sweeper
ENV PATH=/home/sweeper/.local/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
WORKDIR /lab

# Before the code, so that a changed line of it does not install everything again
RUN pip install --user --no-cache-dir \
    torch==2.15.0 torchvision==0.29.2 "ray[default,tune]==2.60.0" "mlflow[auth]==3.17.2" \
    psycopg2-binary==2.9.13 boto3==1.44.5
COPY --chown=sweeper . .
RUN pip install --user --no-cache-dir --editable . && install --directory results

ENTRYPOINT ["sweeper"]
