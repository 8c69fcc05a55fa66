"""The API: what is posted comes back as bodies, files and corrections of them; every mistake has one shape."""

import io
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from fastapi.testclient import TestClient
from PIL import Image

from nbf.body.joints import COCO17
from nbf.body.parts import COLORS
from nbf.export.npz import load_people
from nbf.web.problems import ErrorBody
from nbf.web.schema import BodyModel, Certainty, Health, PeopleFound, PersonFound, RefitRequest
from nbf.web.service import ALONE, BODIES, PICTURES

Serve = Callable[..., TestClient]


def found(client: TestClient, photo: bytes, **query: Any) -> dict[str, Any]:
    answer = client.post("/v1/people", content=photo, params=query)
    assert answer.status_code == 201, answer.text
    return answer.json()


def problem(answer: Any) -> tuple[int, str]:
    """Status and code of a mistake; it has the shape that is promised."""
    body = ErrorBody.model_validate(answer.json())
    assert body.error.message
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.status_code, body.error.code


def test_answers_are_as_openapi_says(serve: Serve, photo: bytes) -> None:
    client = serve()
    first = found(client, photo)
    PeopleFound.model_validate(first, strict=True)
    assert (first["width"], first["height"], len(first["people"])) == (96, 128, 2)
    person = first["people"][0]
    assert first.keys() == PeopleFound.model_fields.keys()
    assert person.keys() == PersonFound.model_fields.keys()
    assert person["certainty"].keys() == Certainty.model_fields.keys()
    assert client.get(f"/v1/people/{first['id']}").json() == first
    BodyModel.model_validate(client.get("/v1/body").json(), strict=True)
    Health.model_validate(client.get("/healthz").json(), strict=True)
    page = client.get("/openapi.json").json()
    assert {"/v1/people", "/v1/refit", "/v1/people/{id}/body.glb", "/healthz", "/metrics"} <= page["paths"].keys()
    for example in page["components"]["schemas"]["RefitRequest"]["examples"]:
        RefitRequest.model_validate(example)


def test_files_are_those_that_python_writes(serve: Serve, photo: bytes, tmp_path: Path) -> None:
    client = serve()
    at = f"/v1/people/{found(client, photo)['id']}"
    files = {
        suffix: client.get(f"{at}/body.{suffix}", params={"person": 0} if suffix in ALONE else {}) for suffix in BODIES
    }
    assert problem(client.get(f"{at}/body.bvh")) == (422, "unusable")
    assert {suffix: answer.headers["content-type"] for suffix, answer in files.items()} == BODIES
    assert 'filename="body.glb"' in files["glb"].headers["content-disposition"]
    (tmp_path / "body.npz").write_bytes(files["npz"].content)
    people = load_people(tmp_path / "body.npz")
    scene = trimesh.load_scene(io.BytesIO(files["glb"].content), file_type="glb")
    assert len(scene.geometry) == len(people) == 2
    vertices = np.frombuffer(client.get(f"{at}/vertices.bin").content, "<f4").reshape(2, -1, 3)
    np.testing.assert_allclose(vertices[1], people[1].vertices, atol=1e-4)
    (tmp_path / "one.npz").write_bytes(client.get(f"{at}/body.npz", params={"person": 1}).content)
    assert np.array_equal(load_people(tmp_path / "one.npz")[0].betas, people[1].betas)
    faces = np.frombuffer(client.get("/v1/body/faces.bin").content, "<u2").reshape(-1, 4)
    assert np.array_equal(faces[:, :3], people[0].faces)
    assert set(faces[:, 3]) == set(range(1, 15))


def test_pictures_can_be_opened(serve: Serve, photo: bytes) -> None:
    client = serve()
    at = f"/v1/people/{found(client, photo)['id']}"
    for name, kind in PICTURES.items():
        answer = client.get(f"{at}/{name}")
        assert answer.headers["content-type"] == kind
        assert min(Image.open(io.BytesIO(answer.content)).size) >= 96
    window = Image.open(io.BytesIO(client.get(f"{at}/window.png").content))
    assert window.size == (256, 256)
    assert np.array_equal(np.asarray(window.getpalette()).reshape(-1, 3)[:25], COLORS)
    assert np.asarray(window).max() == 13


def test_what_is_known_reaches_the_predictor(serve: Serve, photo: bytes, predictor: Any) -> None:
    options = {"focal": "28mm", "center": "48,64", "box": ["1,2,30,40", "5,6,70,80"], "height": 1.8, "sex": "female"}
    assert len(found(serve(), photo, **options)["people"]) == 2
    (asked,) = predictor.asked
    assert (asked["focal"], asked["center"], asked["boxes"]) == ("28mm", (48, 64), [(1, 2, 30, 40), (5, 6, 70, 80)])
    assert (asked["known"].height, asked["known"].sex) == (1.8, 1.0)


def test_a_refit_keeps_who_is_listed_and_adds_who_was_missed(serve: Serve, photo: bytes, predictor: Any) -> None:
    client = serve()
    first = found(client, photo)
    paint = [[255, 100], [11, 65436]]
    told = {
        "id": first["id"],
        "people": [
            {"person": 1, "height": 1.8, "joints": {"left_wrist": [3, 4], "nose": None}, "paint": paint},
            {"box": [1, 2, 30, 40]},
        ],
    }
    answer = client.post("/v1/refit", json=told)
    assert answer.status_code == 201
    second = PeopleFound.model_validate(answer.json(), strict=True)
    assert second.id != first["id"]
    assert [person.score for person in second.people] == pytest.approx([0.8, 0.9])
    assert second.people[0].keypoints[COCO17.index("nose")][2] == 0
    asked = predictor.asked[-1]
    assert [facts.height for facts in asked["known"]] == [1.8, None]
    labels = asked["corrections"][0].paint
    assert (labels.shape, labels[0, 99], labels[0, 100], labels[-1, -1]) == ((256, 256), 255, 11, 11)
    assert client.get(f"/v1/people/{first['id']}").json() == first
    nobody = client.post("/v1/refit", json={"id": first["id"], "people": []}).json()
    assert nobody["people"] == []
    assert problem(client.get(f"/v1/people/{nobody['id']}/body.glb")) == (422, "unusable")


@pytest.mark.parametrize(
    ("person", "code"),
    [
        ({}, "malformed"),
        ({"person": 0, "box": [1, 2, 3, 4]}, "malformed"),
        ({"person": 7}, "unusable"),
        ({"person": 0, "wings": 2}, "malformed"),
        ({"person": 0, "height": 17}, "unusable"),
        ({"person": 0, "joints": {"tail": [1, 2]}}, "unusable"),
        ({"person": 0, "joints": {"nose": [1]}}, "malformed"),
        ({"person": 0, "paint": [[1, 5]]}, "unusable"),
        ({"person": 0, "paint": [[-1, 65536]]}, "unusable"),
        ({"person": 0, "paint": [[30, 65536]]}, "unusable"),
        ({"person": 0, "swap": ["heads"]}, "malformed"),
    ],
)
def test_impossible_corrections_are_said(serve: Serve, photo: bytes, person: dict, code: str, predictor: Any) -> None:
    client = serve()
    predictor.refit = lambda people, known=(), **told: [facts.known() for facts in known] and people
    told = {"id": found(client, photo)["id"], "people": [person]}
    assert problem(client.post("/v1/refit", json=told)) == (422, code)


def test_mistakes_are_clear(serve: Serve, photo: bytes) -> None:
    client = serve(megapixels=0.02, people=2)
    assert problem(client.post("/v1/people", content=photo, params={"box": ["1,2,30,40"] * 3})) == (422, "unusable")
    assert problem(client.post("/v1/people", content=b"")) == (422, "unusable")
    assert problem(client.post("/v1/people", content=photo[:200])) == (422, "unusable")
    assert problem(client.post("/v1/people", files={"file": photo})) == (415, "multipart")
    assert problem(client.post("/v1/people", content=photo, params={"box": "1,2,3"})) == (422, "unusable")
    assert problem(client.post("/v1/people", content=photo, params={"height": "tall"})) == (422, "malformed")
    assert problem(client.post("/v1/refit", content=b"{")) == (422, "malformed")
    assert problem(client.get("/v1/people/..%2F..%2Fetc%2Fpasswd")) == (404, "not_found")
    assert problem(client.get("/nothing")) == (404, "not_found")
    assert problem(client.put("/v1/people")) == (405, "wrong_method")
    large = io.BytesIO()
    Image.new("RGB", (200, 128)).save(large, "PNG")
    assert problem(client.post("/v1/people", content=large.getvalue())) == (422, "unusable")


def test_bugs_do_not_show(serve: Serve, photo: bytes, predictor: Any) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret of the server")

    predictor.predict = broken
    answer = serve().post("/v1/people", content=photo)
    assert problem(answer) == (500, "bug")
    assert "secret" not in answer.text


def test_results_are_forgotten(serve: Serve, photo: bytes) -> None:
    client = serve()
    at = f"/v1/people/{found(client, photo)['id']}"
    assert client.delete(at).status_code == 204
    assert problem(client.get(at)) == (404, "gone")
    brief = serve(keep_minutes=0.001)
    at = f"/v1/people/{found(brief, photo)['id']}"
    time.sleep(0.1)
    assert problem(brief.get(f"{at}/body.glb")) == (404, "gone")


def test_of_many_at_once_all_are_answered_or_told_to_come_again(serve: Serve, photo: bytes, predictor: Any) -> None:
    client = serve(waiting=4)
    predictor.go.clear()
    with ThreadPoolExecutor(12) as threads:
        futures = [threads.submit(client.post, "/v1/people", content=photo) for _ in range(12)]
        done = 0
        while done < 8:
            done = sum(future.done() for future in futures)
            time.sleep(0.01)
        predictor.go.set()
        answers = [future.result() for future in futures]
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [503] * 8
    for answer in answers:
        if answer.status_code == 503:
            assert problem(answer) == (503, "busy")
            assert int(answer.headers["retry-after"]) > 0
    assert "nbf_waiting 0.0" in client.get("/metrics").text
    assert found(client, photo)


def test_who_waits_too_long_is_told(serve: Serve, photo: bytes, predictor: Any) -> None:
    client = serve(answer_seconds=0.2)
    predictor.go.clear()
    threading.Timer(0.6, predictor.go.set).start()
    assert problem(client.post("/v1/people", content=photo)) == (503, "too_slow")


def test_counts_are_of_routes_and_name_nobody(serve: Serve, photo: bytes) -> None:
    client = serve()
    id = found(client, photo)["id"]
    client.get(f"/v1/people/{id}")
    text = client.get("/metrics").text
    assert 'nbf_requests_total{route="/v1/people/{id}",status="200"} 1.0' in text
    assert 'nbf_work_seconds_count{work="find"} 1.0' in text
    assert "nbf_results 1.0" in text
    assert id not in text
