"""Metrics in the text format of Prometheus."""

from prometheus_client.parser import text_string_to_metric_families

from muster.kernel import metrics


def test_every_metric_is_rendered_with_its_meaning() -> None:
    metrics.RUNS_FINISHED.labels("completed").inc()
    metrics.MODEL_COST.labels("openai", "gpt").inc(0.25)
    metrics.HTTP_DURATION.labels("GET", "/x").observe(0.003)
    families = {f.name: f for f in text_string_to_metric_families(metrics.render().decode())}
    ours = {name: family for name, family in families.items() if name.startswith("muster_")}
    assert {"muster_http_requests", "muster_runs_active", "muster_tool_calls"} <= set(ours)
    assert all(family.documentation.endswith(".") for family in ours.values())
    cost = [s for s in ours["muster_model_cost_usd"].samples if s.name.endswith("_total")]
    assert ("openai", "gpt") in {(s.labels["provider"], s.labels["model"]) for s in cost}
    buckets = {
        s.labels["le"]: s.value
        for s in ours["muster_http_request_duration_seconds"].samples
        if s.name.endswith("_bucket") and s.labels["route"] == "/x"
    }
    assert (buckets["0.0025"], buckets["0.005"]) == (0.0, 1.0)


def test_the_type_of_the_content_names_its_version() -> None:
    assert metrics.CONTENT_TYPE_LATEST.startswith("text/plain; version=")
