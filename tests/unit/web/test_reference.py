from __future__ import annotations

import shlex
from typing import Annotated, Any

from pydantic import BaseModel, Field, WithJsonSchema

from web.openapi import describe
from web.reference import Operation, schemas, topics
from web.routing import Routes
from web.schemas.body import Body, Html


class Order(Body):
    """What to bring."""

    dish: str = Field(description="its `name`", examples=["it's <soup>"])
    guests: int = Field(2, ge=1, le=8)


class Bill(BaseModel):
    total: float


class Choice(BaseModel):
    day: str = Field(description="of the week")


STEPS = {
    "type": "array",
    "items": {"type": "object", "required": ["do"], "properties": {"do": {"type": "string"}}},
    "examples": [[{"do": "salt"}]],
}
Steps = Annotated[Any, WithJsonSchema(STEPS)]


def document() -> dict[str, Any]:
    routes = Routes(tag="Kitchen")
    routes.post("/orders/<table>", body=Order, answers={201: Bill}, summary="Order", auth="operator")(lambda: None)
    routes.patch("/orders", body=Steps, media=("application/steps+json", "application/json"), answers={204: None},
                 summary="Change")(lambda: None)  # fmt: skip
    routes.get("/menu", query=Choice, answers={200: Html}, summary="Menu", auth=None)(lambda: None)
    return describe([routes])


def operations() -> dict[str, Operation]:
    (topic,) = topics(document(), "http://kitchen")
    return {operation.anchor: operation for operation in topic.operations}


def test_operations_have_anchors_of_method_and_path() -> None:
    assert list(operations()) == ["post-orders-table", "patch-orders", "get-menu"]


def test_who_may_call_is_said() -> None:
    assert [operation.who for operation in operations().values()] == [
        "operators and admins", "any signed-in user", "open to everybody",
    ]  # fmt: skip


def test_a_query_parameter_has_its_description_and_no_second_one_in_its_schema() -> None:
    (parameter,) = document()["paths"]["/menu"]["get"]["parameters"]
    assert parameter["description"] == "of the week"
    assert "description" not in parameter["schema"]


def test_curl_is_a_command_a_shell_reads_as_meant() -> None:
    words = shlex.split(operations()["post-orders-table"].curl)
    assert words[:4] == ["curl", "-X", "POST", "http://kitchen/orders/TABLE"]
    assert words[-1] == """{"dish": "it's <soup>", "guests": 2}"""
    assert "Authorization: Bearer $API_KEY" in words


def test_a_body_that_is_a_list_shows_what_it_is_a_list_of() -> None:
    body = operations()["patch-orders"].body
    assert body is not None
    assert (body.is_list, body.kind, [row["name"] for row in body.fields]) == (True, "array of object", ["do"])


def test_a_body_with_a_content_type_of_its_own_is_sent_as_that() -> None:
    words = shlex.split(operations()["patch-orders"].curl)
    assert "Content-Type: application/steps+json" in words
    assert words[-1] == '[{"do": "salt"}]'
    content = document()["paths"]["/orders"]["patch"]["requestBody"]["content"]
    assert list(content) == ["application/steps+json", "application/json"]


def test_two_models_of_one_name_are_told_apart() -> None:
    class Bill(BaseModel):
        """Another one."""

        rows: list[str]

    routes = Routes(tag="Kitchen")
    routes.get("/mine", answers={200: Bill}, summary="Mine")(lambda: None)
    routes.get("/yours", answers={200: globals()["Bill"]}, summary="Yours")(lambda: None)
    api = describe([routes])
    found = {path: methods["get"]["responses"]["200"] for path, methods in api["paths"].items()}
    references = [answer["content"]["application/json"]["schema"]["$ref"] for answer in found.values()]
    fields = [set(api["components"]["schemas"][one.rpartition("/")[2]]["properties"]) for one in references]
    assert fields == [{"rows"}, {"total"}]


def test_curl_needs_no_credential_where_everybody_may_call() -> None:
    assert operations()["get-menu"].curl == "curl http://kitchen/menu"


def test_answers_and_problems_are_told_apart() -> None:
    order = operations()["post-orders-table"]
    assert [answer.status for answer in order.answers if not answer.is_problem] == ["201"]
    assert {"401", "422"} <= {answer.status for answer in order.answers if answer.is_problem}


def test_a_page_is_an_answer_of_its_own_type() -> None:
    answer, *_ = operations()["get-menu"].answers
    assert str(answer.kind) == "<code>text/html</code>"


def test_what_is_sent_is_told_from_what_comes_back() -> None:
    assert {schema.name: schema.is_sent for schema in schemas(document())} == {
        "Bill": False,
        "Order": True,
        "Problem": False,
    }
