"""Sample tasks, so that a new frontend has something to show."""

from datetime import date, timedelta
from itertools import cycle, islice
from typing import NamedTuple

from ..auth.tokens import TokenUser
from ..contracts import CONTRACTS
from ..db.database import Record
from ..tasks.operations import Operations
from ..tasks.schemas import creation_schema
from ..tasks.statements import TaskStatements
from ..tasks.store import TaskStore


class Sample(NamedTuple):
    """A sample task; it is due so many days from today."""

    title: str
    tags: tuple[str, ...]
    priority: str = "medium"
    due_in: int | None = None
    completed: bool = False
    description: str | None = None


SAMPLES = (
    Sample("Buy milk", ("shopping",), due_in=0, description="Two litres, not the small ones"),
    Sample("Pay the rent", ("home", "money"), "urgent", -1),
    Sample("Book a dentist's appointment", ("health",), "high", 3),
    Sample("Water the plants", ("home",), "low", 0, completed=True),
    Sample("Write the release notes", ("work",), "high", 2, description="Features first, then the fixes"),
    Sample("Call Bob back", ("people",), due_in=1),
    Sample("Renew the passport", ("travel", "paperwork"), "high", 21),
    Sample("Plan the weekend hike", ("outdoors", "people"), due_in=4, description="Map, lunch, rain jackets"),
    Sample("Review the pull request", ("work",), "urgent", 0),
    Sample("Return the library books", ("errands",), due_in=-2, completed=True),
    Sample("Fix the bicycle's brakes", ("outdoors", "home"), due_in=6),
    Sample("Send Carol a birthday card", ("people",), "high", 9),
    Sample("Cancel the unused subscription", ("money",), "low"),
    Sample("Back up the laptop", ("work", "home"), due_in=7),
    Sample("Read the chapter on indexes", ("learning",), "low"),
    Sample("Order new running shoes", ("shopping", "health"), "low", 12),
    Sample("Prepare the quarterly report", ("work", "money"), "high", 14),
    Sample("Clean the kitchen", ("home",), due_in=-1, completed=True),
    Sample("Practise the guitar", ("learning", "music"), "low", 1),
    Sample("File the tax return", ("money", "paperwork"), "urgent", 30, description="Receipts: blue folder"),
    Sample("Try the new noodle place", ("people",), "low"),
    Sample("Update the résumé", ("work", "paperwork"), due_in=18),
    Sample("Find a present for Alice", ("shopping", "people"), due_in=5),
    Sample("Schedule the heating's inspection", ("home",), due_in=10),
    Sample("Sort the photos of the summer", ("home",), "low", completed=True),
)


def sample_task(sample: Sample, today: date) -> Record:
    """The body of a request that creates the task."""
    due_date = None if sample.due_in is None else today + timedelta(days=sample.due_in)
    body = sample._asdict() | {"tags": list(sample.tags), "due_date": due_date and due_date.isoformat()}
    return {name: value for name, value in body.items() if name != "due_in"}


def create_samples(user_id: str, count: int, today: date) -> None:
    """Create so many sample tasks of the user, as requests would; beyond the last sample they repeat."""
    contract = CONTRACTS[0]
    schema = creation_schema(contract)()
    names = {field.data_key for field in schema.fields.values()}
    statements = TaskStatements(contract)
    store, operations = TaskStore(statements, TokenUser(user_id, None, None)), Operations(statements)
    for sample in islice(cycle(SAMPLES), count):
        body = sample_task(sample, today)
        new = schema.load({name: value for name, value in body.items() if name in names})
        store.write(operations.create(**new))
