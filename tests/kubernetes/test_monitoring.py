"""Monitoring: scraping finds the agents, and rules and dashboard ask for numbers that agents have."""

import http.client
import json
import re

import pytest

from agents import OURS, next_port, wait_until
from manifests import FOLDER, must, parse, require_tools
from test_chart import CHART, MONITORING
from test_manifests import agent_of, workload

COMPONENT = FOLDER / "components/monitoring"
NAME = re.compile(r"\b(?:serf|process)_\w+")
CHOSEN = re.compile(r"\b((?:serf|process)_\w+)\{([^}]*)\}")
# These two are Prometheus's own, from where it found the agent.
FOUND = {"namespace", "job"}


def rules():
    groups = parse((CHART / "files/rules.yaml").read_text("utf-8"))[0]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard():
    return json.loads((CHART / "files/dashboard.json").read_text("utf-8"))


def expressions():
    asked = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    asked += [variable["query"]["query"] for variable in dashboard()["templating"]["list"]
              if variable["type"] == "query"]
    return asked + [rule["expr"] for rule in rules()]


def of_kind(objects, kind):
    return [item for item in objects if item["kind"] == kind]


def overlay():
    require_tools()
    return parse(must("kubectl", "kustomize", FOLDER / "overlays/monitoring"))


def chart(*kinds):
    require_tools()
    return parse(must("helm", "template", "my", CHART,
                      *(f"--set=monitoring.{kind}.enabled=true" for kind in kinds)))


def ask(host, port, path):
    connection = http.client.HTTPConnection(host, port, timeout=20)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def samples(page):
    """{name of a sample: the names of its labels}"""
    found = {}
    for name, labels in re.findall(r"^([a-z]\w*)(?:\{([^}]*)\})? ", page, re.M):
        found.setdefault(name, set()).update(re.findall(r"(\w+)=", labels))
    return found


@pytest.fixture
def agent(cluster):
    """An agent with the base's setting of HTTP, at a port of its own."""
    started = cluster.prepare(OURS, None, "-event-handler=true")
    started.http_port = next_port()
    started.variables = {"SERF_AGENT_HTTP_ADDR": f":{started.http_port}"}
    started.start()
    return started


def test_rules_and_dashboard_ask_for_what_an_agent_tells(agent):
    """Some numbers are told of once there was something to count."""
    def counted():
        agent.cli("event", "deploy")
        agent.cli("query", "-timeout=100ms", "load")
        page = ask(agent.host, agent.http_port, "/metrics")[1]
        names = samples(page)
        return {"serf_events_total", "serf_queries_total",
                "serf_agent_invoke_seconds_count"} <= set(names) and names, page
    told = wait_until(counted, 70, "an event, a query and a run of a handler are counted")
    text = "\n".join(expressions())
    asked = set(NAME.findall(text))
    assert len(asked) > 20 and asked <= set(told), asked - set(told)
    for name, labels in CHOSEN.findall(text):
        assert set(re.findall(r"(\w+)!?=", labels)) - FOUND <= told[name], (name, labels)


def test_the_image_s_address_is_every_one_of_both_families(agent):
    for host in (agent.host, "127.0.0.1", "::1"):
        assert ask(host, agent.http_port, "/health/live") == (200, "live\n")


def test_every_path_that_a_manifest_asks_for_is_answered(agent):
    paths = {endpoint["path"] for monitor in of_kind(overlay(), "ServiceMonitor")
             for endpoint in monitor["spec"]["endpoints"]}
    container = agent_of(overlay())
    paths |= {container[f"{kind}Probe"]["httpGet"]["path"]
              for kind in ("startup", "readiness", "liveness")}
    assert paths == {"/metrics", "/health/live", "/health/ready"}
    for path in paths:
        wait_until(lambda: (ask(agent.host, agent.http_port, path)[0] == 200, path), 70,
                   f"{path} is answered")


@pytest.mark.parametrize("objects", [overlay, lambda: chart(*MONITORING)],
                         ids=["overlay", "chart"])
def test_scraping_finds_the_port_of_each_member_once(objects):
    objects = objects()
    monitor = of_kind(objects, "ServiceMonitor")[0]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    found = [service for service in of_kind(objects, "Service")
             if wanted.items() <= service["metadata"]["labels"].items()]
    assert len(found) == 1 and monitor["spec"]["jobLabel"] in found[0]["metadata"]["labels"]
    port = found[0]["spec"]["ports"][0]
    assert [endpoint["port"] for endpoint in monitor["spec"]["endpoints"]] == [port["name"]]
    assert port["targetPort"] in {port["name"] for port in agent_of(objects)["ports"]}
    labels = workload(objects)["spec"]["template"]["metadata"]["labels"]
    assert found[0]["spec"]["selector"].items() <= labels.items()


def test_the_overlay_and_the_chart_bring_the_same():
    ours, theirs = overlay(), chart(*MONITORING)
    assert of_kind(ours, "PrometheusRule")[0]["spec"]["groups"][0]["rules"] == rules()
    assert of_kind(theirs, "PrometheusRule")[0]["spec"] == of_kind(ours, "PrometheusRule")[0]["spec"]
    boards = [json.loads(item["data"]["serf.json"]) for objects in (ours, theirs)
              for item in of_kind(objects, "ConfigMap") if "serf.json" in item["data"]]
    assert boards == [dashboard(), dashboard()]


def test_the_chart_brings_of_it_what_is_asked_for():
    kinds = {"serviceMonitor": "ServiceMonitor", "prometheusRule": "PrometheusRule"}
    for value, kind in kinds.items():
        there = {item["kind"] for item in chart(value)}
        assert there & set(kinds.values()) == {kind}
    assert not {item["kind"] for item in chart()} & set(kinds.values())
    assert len(of_kind(chart("dashboard"), "ConfigMap")) == 2


def test_an_alert_says_what_it_means_and_is_told_of():
    text = (FOLDER.parent / "docs/kubernetes.md").read_text("utf-8")
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert f"`{rule['alert']}`" in text


def test_panels_are_numbered_and_do_not_overlap():
    places = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert places.setdefault((x, y), panel["id"]) == panel["id"]
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
