"""The peer: FastAPI, SQLModel and psycopg2, as in FastAPI's tutorials on SQL databases and JWT.

It has no `rev`, trash or entity tags, so it does less per request than the product. Its pool, threads and
access log are the defaults.
"""

import os
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Query, status
from fastapi.security import OAuth2PasswordBearer
from jwt.exceptions import InvalidTokenError
from sqlalchemy import DateTime, Index
from sqlmodel import Field, Session, SQLModel, col, create_engine, select

SECRET_KEY = os.environ["BETTER_AUTH_SECRET"]
ALGORITHM = "HS256"


def now() -> datetime:
    return datetime.now(UTC)


class TaskBase(SQLModel):
    title: str = Field(min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)
    completed: bool = False


class Task(TaskBase, table=True):
    __table_args__ = (Index("ix_task_user_id_created_at", "user_id", "created_at"),)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    user_id: str
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))


class TaskPublic(TaskBase):
    id: uuid.UUID
    user_id: str
    created_at: datetime
    updated_at: datetime


class TaskCreate(TaskBase):
    pass


class TaskUpdate(SQLModel):
    title: str | None = Field(default=None, min_length=1, max_length=200)
    description: str | None = Field(default=None, max_length=1000)
    completed: bool | None = None


engine = create_engine(os.environ["DATABASE_URL"])
oauth2_scheme = OAuth2PasswordBearer(tokenUrl="token")
app = FastAPI()


def get_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


async def get_current_user(token: Annotated[str, Depends(oauth2_scheme)]) -> str:
    credentials_exception = HTTPException(
        status_code=status.HTTP_401_UNAUTHORIZED,
        detail="Could not validate credentials",
        headers={"WWW-Authenticate": "Bearer"},
    )
    try:
        payload = jwt.decode(token, SECRET_KEY, algorithms=[ALGORITHM])
    except InvalidTokenError:
        raise credentials_exception from None
    user_id: str | None = payload.get("sub")
    if user_id is None:
        raise credentials_exception
    return user_id


SessionDep = Annotated[Session, Depends(get_session)]
CurrentUser = Annotated[str, Depends(get_current_user)]


def find_task(session: Session, user_id: str, task_id: uuid.UUID) -> Task:
    task = session.exec(select(Task).where(Task.id == task_id, Task.user_id == user_id)).first()
    if not task:
        raise HTTPException(status_code=404, detail="Task not found")
    return task


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "healthy"}


@app.get("/api/tasks", response_model=list[TaskPublic])
def read_tasks(
    session: SessionDep,
    user_id: CurrentUser,
    offset: int = 0,
    limit: Annotated[int, Query(le=100)] = 100,
) -> object:
    newest_first = select(Task).where(Task.user_id == user_id).order_by(col(Task.created_at).desc())
    return session.exec(newest_first.offset(offset).limit(limit)).all()


@app.post("/api/tasks", response_model=TaskPublic, status_code=status.HTTP_201_CREATED)
def create_task(task: TaskCreate, session: SessionDep, user_id: CurrentUser) -> object:
    db_task = Task.model_validate(task, update={"user_id": user_id})
    session.add(db_task)
    session.commit()
    session.refresh(db_task)
    return db_task


@app.get("/api/tasks/{task_id}", response_model=TaskPublic)
def read_task(task_id: uuid.UUID, session: SessionDep, user_id: CurrentUser) -> object:
    return find_task(session, user_id, task_id)


@app.patch("/api/tasks/{task_id}", response_model=TaskPublic)
def update_task(task_id: uuid.UUID, task: TaskUpdate, session: SessionDep, user_id: CurrentUser) -> object:
    db_task = find_task(session, user_id, task_id)
    db_task.sqlmodel_update(task.model_dump(exclude_unset=True), update={"updated_at": now()})
    session.add(db_task)
    session.commit()
    session.refresh(db_task)
    return db_task


if __name__ == "__main__":
    # Not at the start of each worker: two of them would race.
    SQLModel.metadata.create_all(engine)
