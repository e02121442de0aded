"""``/v1/jobs/{id}/results`` and ``/v1/jobs/{id}/artifacts``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Security
from fastapi.responses import FileResponse

from app.deps import SessionDep, SettingsDep, get_caller
from app.jobs import service as jobs
from app.keys.service import Caller
from app.problems import Responses, problems
from app.results import service
from app.results.schemas import ArtifactPage, ArtifactRead, ResultFilter, ResultPage, ResultRead
from app.schemas import Listing
from models import Artifact

router = APIRouter(prefix="/v1/jobs/{job_id}", tags=["Results"])
Reader = Annotated[Caller, Security(get_caller, scopes=["jobs:read"])]
Index = Annotated[int, Path(ge=0, lt=2**31)]
Name = Annotated[str, Path(max_length=200)]
FILE: Responses = {
    200: {"content": {"application/octet-stream": {}, "image/png": {}}, "description": "The file"}
}


@router.get(
    "/results",
    operation_id="listResults",
    responses=problems(404),
    response_model_exclude_unset=True,
)
def list_results(
    job_id: str,
    caller: Reader,
    query: Annotated[ResultFilter, Query()],
    session: SessionDep,
    settings: SettingsDep,
) -> ResultPage:
    """List what was found, one row per input, by index; readable while the job runs."""
    job = jobs.get(session, caller, job_id)
    found = service.list_rows(session, job, query, min(query.limit, settings.max_page))
    return ResultPage(items=[ResultRead.model_validate(row) for row in found.items], next=found.next)


@router.get(
    "/results/{index}",
    operation_id="getResult",
    responses=problems(404),
    response_model_exclude_unset=True,
)
def get_result(job_id: str, index: Index, caller: Reader, session: SessionDep) -> ResultRead:
    """Show what was found about one input."""
    job = jobs.get(session, caller, job_id)
    return ResultRead.model_validate(service.get_row(session, job, index))


@router.get(
    "/results/{index}/{name}",
    operation_id="getResultFile",
    response_class=FileResponse,
    responses=FILE | problems(404),
)
def get_result_file(
    job_id: str, index: Index, name: Name, caller: Reader, session: SessionDep
) -> FileResponse:
    """Give a picture of one input: `counterexample.png`, `path.png` or `map.png`."""
    job = jobs.get(session, caller, job_id)
    return _file(*service.get_file(session, job, index, name))


@router.get("/artifacts", operation_id="listArtifacts", responses=problems(404))
def list_artifacts(
    job_id: str,
    caller: Reader,
    query: Annotated[Listing, Query()],
    session: SessionDep,
    settings: SettingsDep,
) -> ArtifactPage:
    """List the files that the job made, pictures included."""
    job = jobs.get(session, caller, job_id)
    found = service.list_artifacts(session, job, query.cursor, min(query.limit, settings.max_page))
    return ArtifactPage(items=[_artifact(file) for file in found.items], next=found.next)


@router.get(
    "/artifacts/{name}",
    operation_id="getArtifact",
    response_class=FileResponse,
    responses=FILE | problems(404),
)
def get_artifact(job_id: str, name: Name, caller: Reader, session: SessionDep) -> FileResponse:
    """Give a file of the whole job."""
    job = jobs.get(session, caller, job_id)
    return _file(*service.get_file(session, job, service.WHOLE_JOB, name))


def _artifact(file: Artifact) -> ArtifactRead:
    return ArtifactRead(
        index=None if file.index == service.WHOLE_JOB else file.index,
        name=file.name,
        media_type=file.media_type,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        href=service.address(file.job_id, file.index, file.name),
    )


def _file(file: Artifact, path: Any) -> FileResponse:
    headers = {"ETag": f'"{file.sha256}"', "Cache-Control": "private, max-age=31536000, immutable"}
    inline = "inline" if file.media_type == "image/png" else "attachment"
    return FileResponse(
        path, headers=headers, media_type=file.media_type, filename=file.name, content_disposition_type=inline
    )
