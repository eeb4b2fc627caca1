"""The columns of a passenger, as on https://www.kaggle.com/c/titanic/data."""

from lifeboat.usecase.schema import BinaryLabel, Column, Schema

SCHEMA = Schema(
    columns=(
        Column("Pclass", "integer", categories=(1, 2, 3), description="Class of the ticket", example=3),
        Column(
            "Name",
            "string",
            description="Surname, title and given names",
            example="Fogg, Mr. Phileas",
            personal=True,
        ),
        Column("Sex", "string", categories=("female", "male"), description="Sex", example="male"),
        Column("Age", "float", nullable=True, minimum=0, maximum=120, description="Age in years", example=22),
        Column("SibSp", "integer", minimum=0, maximum=20, description="Siblings and spouse aboard", example=1),
        Column("Parch", "integer", minimum=0, maximum=20, description="Parents and children aboard", example=0),
        Column(
            "Fare",
            "float",
            nullable=True,
            minimum=0,
            maximum=1000,
            description="Fare in pounds",
            example=7.25,
        ),
        Column("Cabin", "string", nullable=True, max_length=40, description="Cabins, such as C85", example=None),
        Column(
            "Embarked",
            "string",
            nullable=True,
            categories=("C", "Q", "S"),
            description="Port: Cherbourg, Queenstown or Southampton",
            example="S",
        ),
    ),
    keys=(
        Column(
            "PassengerId",
            "integer",
            minimum=1,
            maximum=2**53,
            description="Number of the passenger",
            example=1,
        ),
        Column(
            "Ticket",
            "string",
            max_length=40,
            description="Ticket, shared by those who travel together",
            example="A/5 1",
            personal=True,
        ),
    ),
    label=BinaryLabel("Survived", classes=("died", "survived")),
    id="PassengerId",
    group="Ticket",
)
