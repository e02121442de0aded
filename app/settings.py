"""Every limit and address of the service, read from ``GLOCERT_*`` environment variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 2**20


def _absolute(path: Path) -> Path:
    return path.expanduser().absolute()


class Settings(BaseSettings):
    """Built once at each entry point and passed on; nothing reads the environment elsewhere.

    The description of every field is its line in ``docs/operations.md``; ``.env.example`` lists them all.
    """

    model_config = SettingsConfigDict(env_prefix="GLOCERT_", env_file=None, frozen=True, extra="ignore")

    # Where things are
    data_dir: Annotated[Path, AfterValidator(_absolute)] = Field(
        Path(".glocert"), description="Folder of uploads, graphs, pictures and the embedded database."
    )
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in the data folder.")
    broker_url: str = Field(
        "memory://", description="Celery broker: `memory://` (one process) or `redis://…`."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; any but loopback needs API keys.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8321, description="Port to listen on; 0 picks a free one."
    )
    admin_key: str = Field("", description="A key with all scopes, made at start if it is not there yet.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="Where certification children compute."
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged.")

    # Limits on what comes in
    max_model_bytes: PositiveInt = Field(512 * MIB, description="Largest model file.")
    max_dataset_bytes: PositiveInt = Field(1024 * MIB, description="Largest data file.")
    max_body_bytes: PositiveInt = Field(4 * MIB, description="Largest JSON body.")
    max_models: PositiveInt = Field(1000, description="Models an owner may keep.")
    max_datasets: PositiveInt = Field(1000, description="Data sets an owner may keep.")
    max_active_jobs: PositiveInt = Field(100, description="Queued and running jobs an owner may have.")
    max_inputs: PositiveInt = Field(10_000, description="Inputs of one job.")
    max_predicted: PositiveInt = Field(100_000, description="Inputs of one prediction by a wrapped network.")
    max_epochs: PositiveInt = Field(2_000, description="Epochs of one training.")
    max_batch: PositiveInt = Field(4_096, description="Inputs of one training step.")
    max_latent: PositiveInt = Field(
        1_024, description="Numbers of a code of a generator that is mined or trained."
    )
    max_code: PositiveInt = Field(
        16_384,
        description="Numbers of a code along which a mutation is certified; a style's holds its image.",
    )
    max_codes: PositiveInt = Field(
        2_048, description="Codes at which a direction mining takes slopes, neighbours included."
    )
    max_encoded: PositiveInt = Field(1_024, description="Inputs whose codes a direction mining looks for.")
    max_directions: PositiveInt = Field(64, description="Directions that one mining may find.")
    max_kept_directions: PositiveInt = Field(10_000, description="Directions an owner may keep.")
    max_width: PositiveInt = Field(1_024, description="Width of a generator in training.")
    max_nodes: PositiveInt = Field(5_000, description="Nodes of an uploaded graph.")
    max_parameters: PositiveInt = Field(200_000_000, description="Weights of an uploaded graph.")
    max_tensor: PositiveInt = Field(100_000_000, description="Elements of one stored tensor.")
    max_activation: PositiveInt = Field(50_000_000, description="Elements of one activation tensor.")
    max_rank: PositiveInt = Field(16, description="Axes of a tensor.")
    max_name: PositiveInt = Field(1_000, description="Characters of a name in an uploaded graph.")
    max_initializers: PositiveInt = Field(20_000, description="Stored tensors of an uploaded graph.")
    max_attributes: PositiveInt = Field(100, description="Attributes of one node.")
    max_graph_inputs: PositiveInt = Field(
        20_000, description="Declared inputs of a graph; old exporters list the weights among them."
    )
    max_graph_outputs: PositiveInt = Field(1_000, description="Declared outputs of a graph.")
    max_nesting: PositiveInt = Field(32, description="How deep the messages of an ONNX file may lie.")
    max_fields: PositiveInt = Field(300_000, description="Fields of an ONNX file, all messages together.")
    max_members: PositiveInt = Field(20_000, description="Files in an uploaded archive of a model.")
    max_model_unpacked_bytes: PositiveInt = Field(
        1024 * MIB, description="Size of a PyTorch archive once unpacked."
    )
    max_expansion: PositiveInt = Field(200, description="Largest ratio of a member to its compressed size.")
    max_dataset_items: PositiveInt = Field(200_000, description="Rows of a data set.")
    max_dataset_unpacked_bytes: PositiveInt = Field(
        4096 * MIB, description="Size of a data set once unpacked."
    )
    max_page: PositiveInt = Field(200, description="Rows of one page of a list.")
    max_wait_s: PositiveFloat = Field(60.0, description="Longest `?wait=` of a request, in seconds.")

    # Work
    unit_inputs: Annotated[int, Field(ge=0)] = Field(
        0, description="Inputs of one unit of work; 0 chooses by the size of the network."
    )
    slice_s: PositiveFloat = Field(
        15.0, description="Seconds a worker stays on one job before it queues again."
    )
    lease_s: PositiveFloat = Field(
        30.0, description="Seconds after which a silent worker's unit is given away."
    )
    beat_s: PositiveFloat = Field(
        1.0, description="Seconds between heartbeats; cancelling takes about as long."
    )
    reap_s: PositiveFloat = Field(5.0, description="Seconds between looks for lost units and lost messages.")
    republish_s: PositiveFloat = Field(
        60.0, description="Seconds after which a queued unit's message is repeated."
    )
    checkpoint_s: PositiveFloat = Field(
        20.0,
        description="Seconds between checkpoints of a training: what a crash costs, and how long a worker "
        "stays with a training while other work waits.",
    )
    partial_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        5.0,
        description="Seconds between two writings of what is proven of an input that takes long: what a lost "
        "worker costs.",
    )
    max_attempts: PositiveInt = Field(3, description="How often a unit is tried before its job fails.")
    max_job_s: PositiveFloat = Field(6 * 3600.0, description="Largest budget of a job in seconds.")
    stop_s: PositiveFloat = Field(10.0, description="Seconds a stopping worker waits for its child to end.")

    # Children
    sandbox: Literal["require", "best-effort"] = Field(
        "require", description="Whether uploads are refused when a layer of the lock-down is missing."
    )
    inspection_s: PositiveFloat = Field(60.0, description="Seconds an inspection may take.")
    inspection_bytes: PositiveInt = Field(2048 * MIB, description="Memory an inspection may take.")
    child_bytes: PositiveInt = Field(8192 * MIB, description="Memory a certification child may take.")
    child_threads: Annotated[int, Field(ge=0)] = Field(0, description="Threads of a child; 0: all cores.")
    block_bytes: PositiveInt = Field(64 * MIB, description="Memory of one depth-first block of the engine.")

    # References to models in registries
    references: str = Field(
        "",
        description="Prefixes of references that `POST /v1/models` may follow, with commas, such as "
        "`hf://myorg/,models:/`; empty: none.",
    )
    reference_s: PositiveFloat = Field(300.0, description="Seconds that following a reference may take.")
    reference_hosts: str = Field(
        ".hf.co,.huggingface.co",
        description="Hosts that a registry may redirect to; a leading dot means all below it.",
    )
    reference_private_hosts: str = Field(
        "", description="Hosts of registries that may have private addresses, with commas."
    )
    hf_endpoint: str = Field("https://huggingface.co", description="Address of the Hugging Face Hub.")
    hf_token: str = Field("", description="Token for the Hugging Face Hub.")
    mlflow_tracking_uri: str = Field("", description="Address of the MLflow server behind `models:/…`.")
    mlflow_authorization: str = Field(
        "", description="Header `Authorization` for the MLflow server, such as `Bearer …` or `Basic …`."
    )
    s3_endpoint: str = Field("", description="Address of the object store behind `s3://…`; empty: Amazon's.")
    s3_region: str = Field("us-east-1", description="Region of the object store.")
    s3_access_key_id: str = Field("", description="Its access key; empty: public objects only.")
    s3_secret_access_key: str = Field("", description="Its secret.")
    s3_session_token: str = Field("", description="Its session token, where it is a temporary one.")

    @property
    def sqlalchemy_url(self) -> str:
        """Return the database's URL, with the embedded default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir / 'glocert.sqlite3'}"

    @property
    def embedded_broker(self) -> bool:
        """Whether the broker lives inside this process."""
        return self.broker_url.startswith("memory:")

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in {"127.0.0.1", "::1", "localhost"}
