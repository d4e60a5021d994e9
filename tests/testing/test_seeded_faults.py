"""Every fault that is put into a working head is found by the check that is there for it, and named."""

import re

import pytest

from dermtl.testing.run import check_head

BCE = 'F.binary_cross_entropy_with_logits(raw, target, reduction="none").mean(dim=1)'
QUADRATIC = 'F.mse_loss(raw, target / self.side, reduction="none").mean(dim=1)'
BY_HAND = "-(target * torch.log(torch.sigmoid(raw)) + (1 - target) * torch.log(1 - torch.sigmoid(raw))).mean(dim=1)"
LINEAR = "self.linear = nn.Linear(features.num_pooled, 3)"
FAULTS = {
    "torch at spec import": ("circle", "spec", "from dermtl.api", "import torch\nfrom dermtl.api",
        "spec imports at once and without torch", "does not import without torch"),
    "slow spec": ("circle", "spec", "from dermtl.api", "for number in range(3 * 10**7): pass\nfrom dermtl.api",
        "spec imports at once and without torch", r"takes \d+\.\d+ s of processor time"),
    "torch in metrics": ("circle", "metrics", "import numpy as np", "import numpy as np\nimport torch",
        "config and metrics need no torch", "config or metrics need torch"),
    "an import of the core": ("circle", "config", "from dermtl.api import Circle, HeadConfig, Kind",
        "from dermtl.api import HeadConfig, Kind\nfrom dermtl.kinds import Circle",
        "imports only the api", r"config.py:\d+ imports dermtl.kinds"),
    "unknown keys pass": ("circle", "config", '    cx: str', '    model_config = {"extra": "ignore"}\n    cx: str',
        "config refuses unknown keys", "takes a key that it does not know"),
    "a decision on a stranger": ("category", "config", "[DecisionRule(self.positive)] if self.positive else []",
        '[DecisionRule(("stranger",))]', "decisions can be fitted", r"decisions\(\) names \('stranger',\)"),
    "fitting that draws lots": ("number", "config", "float(np.mean(values))", "float(np.random.random())",
        "fitting twice changes nothing", "gives another config the second time"),
    "target not flipped": ("own", "kind", "view.affine.points(annotation)",
        "(annotation * view.size / max(view.source_hw))", "truth moves with the picture", "the target lies"),
    "target a pixel and a half off": ("own", "kind", "view.affine.points(annotation)",
        "(view.affine.points(annotation) + [1.2, -0.9])", "truth moves with the picture", r"the target lies 1\.\d px"),
    "target not turned": ("own", "kind", "view.affine.points(annotation)",
        "(annotation * view.affine.lengths(np.ones(1)) + view.affine.matrix[:, 2])", "truth moves with the picture",
        "the target lies"),
    "a kind that draws nothing": ("own", "kind", "return self.core_kind().draw(image, value)", "return image.copy()",
        "truth moves with the picture", "draw marks nothing"),
    "empty cells fail": ("own", "kind", "record.number(self.x), record.number(self.y)",
        "float(record.text(self.x)), record.number(self.y)", "missing truth is none", "TypeError"),
    "no way back": ("own", "kind", "return frame.points(value)", "return value",
        "outputs return to the source frame", "output place: comes back"),
    "a kind that no file can name": ("own", "kind", "return Points((", "return self\n        return Points((",
        "kinds are understood without the plugin", "unknown kind 'zq'"),
    "output of another name": ("circle", "head", 'return {"circle": raw', 'return {"circles": raw',
        "shapes on every family", r"activate gives \['head.circles'\]"),
    "output of another shape": ("circle", "head", "raw.float() * self.side}", "raw.float()[:, :2] * self.side}",
        "shapes on every family", r"has shape \[1, 2\], its kind says \[1, 3\]"),
    "logits as probabilities": ("category", "head", "torch.softmax(raw.float(), dim=1)", "raw.float()",
        "outputs are what their kinds say", "probabilities reach from"),
    "overflow": ("category", "head", "torch.softmax(raw.float(), dim=1)",
        "raw.float().exp() / raw.float().exp().sum(1, keepdim=True)",
        "outputs are what their kinds say", "is not finite for raw values"),
    "double precision": ("circle", "head", "raw.float() * self.side", "raw.double() * self.side",
        "outputs are what their kinds say", "gives torch.float64"),
    "dice in forward": ("circle", "head", "circles: Tensor = self.linear(features.pooled)",
        "circles: Tensor = self.linear(F.dropout(features.pooled, 0.5))",
        "forward is deterministic", "differs between two passes"),
    "a look at the neighbours": ("circle", "head", "return circles", "return circles - circles.mean(0)",
        "pictures do not see one another", "with the others of its batch"),
    "an idle parameter": ("circle", "head", LINEAR, f"{LINEAR}\n        self.idle = nn.Linear(2, 2)",
        "every parameter learns", "parameter idle.weight has no gradient"),
    "features cut off": ("circle", "head", "self.linear(features.pooled)", "self.linear(features.pooled.detach())",
        "every parameter learns", "no gradient reaches the backbone"),
    "a batch norm that needs more than one": ("number", "head", "numbers: Tensor = self.linear(features.pooled)",
        "numbers: Tensor = self.linear(F.batch_norm(features.pooled, None, None, training=True))",
        "shapes on every family", "ValueError"),
    "probabilities the wrong way round": ("category", "head", "torch.softmax(raw.float()", "torch.softmax(-raw.float()",
        "overfits a batch", "they disagree"),
    "a deaf loss": ("circle", "head", QUADRATIC,
        'F.mse_loss(raw[:, :2], target[:, :2] / self.side, reduction="none").mean(dim=1)',
        "loss hears every part of the target", "ignores number 2 of the target"),
    "a loss that is a mean": ("circle", "head", QUADRATIC,
        "F.mse_loss(raw, target / self.side)", "loss gives named finite terms", "what each row adds, not a mean"),
    "a loss that compares rows": ("circle", "head", QUADRATIC,
        QUADRATIC + " / raw.std()", "rows add up", "among other rows"),
    "a loss that overflows": ("tags", "head", BCE, BY_HAND, "loss gives named finite terms", r"term bce is (nan|inf)"),
    "a loss that writes": ("circle", "head", "target / self.side", "target.div_(self.side)",
        "loss leaves its arguments", "changes raw or target in place"),
    "weights outside the state": ("circle", "head", LINEAR,
        f"{LINEAR}\n        self.side += self.linear.bias[0].item()",
        "weights are all there is", "differs once the weights are loaded"),
    "0 for an absent class": ("category", "metrics", 'else float("nan")', "else 0.0",
        "what cannot be said is nan", "what cannot be estimated is NaN"),
    "lower is better": ("circle", "metrics", 'primary: ClassVar[str] = "closeness"',
        'primary: ClassVar[str] = "centre_error_px"', "perfect is best", "record 0's answer for all"),
    "no primary": ("circle", "metrics", 'primary: ClassVar[str] = "closeness"', 'primary: ClassVar[str] = "iou"',
        "metrics are plain numbers", "the primary metric iou is not among"),
    "a metric that writes": ("circle", "metrics", "        centre_px =",
        "        annotation[2] = 1\n        centre_px =", "measuring leaves its arguments", "read-only"),
    "a metric that remembers": ("number", "metrics", '"bias": float(error.mean())', '"bias": float(error[0])',
        "order and shards change nothing", "bias is"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_named(fault, make_head, drawn_once):
    kind, file, old, new, check, words = FAULTS[fault]
    name = make_head("zq", kind, {file: (old, new)})
    (finding,) = check_head(name, only=(check.replace(" ", "_"),))
    assert finding.state == "failed", f"{check} does not see it"
    assert re.search(words, finding.reason), finding.reason


RUNS = {
    "a loss that does not fall": ("circle", "head", QUADRATIC,
        QUADRATIC + ".clamp(min=10) + 0 * raw.sum()", "overfits a batch", "falls from"),
    "a count outside the state": ("circle", "head", QUADRATIC,
        QUADRATIC + " * self._later()", "resume changes nothing", "after a stop and a resume"),
    "a loss that is none for most": ("circle", "head", QUADRATIC,
        QUADRATIC + " / (self.training * 1.0)", "trains where truth is missing", "not finite"),
    "a branch on the values": ("circle", "head", "raw.float() * self.side}",
        "raw.float() * self.side * (2 if raw.sum() > 0 else 1)}", "graph answers like the network", "cannot export"),
}  # fmt: skip
COUNT = """

    def _later(self) -> float:
        self.calls = getattr(self, "calls", 0) + 1
        return 1.0 + self.calls
"""


@pytest.mark.release
@pytest.mark.parametrize("fault", RUNS)
def test_a_fault_that_shows_in_a_run_is_found(fault, make_head, drawn_once):
    kind, file, old, new, check, words = RUNS[fault]
    name = make_head("zq", kind, {file: (old, new)}, append={"head": COUNT}, torch=True)
    (finding,) = check_head(name, only=(check.replace(" ", "_"),))
    assert finding.state == "failed", f"{check} does not see it"
    assert re.search(words, finding.reason), finding.reason


@pytest.mark.release
def test_a_fault_is_named_by_the_checks_that_concern_it_alone(make_head, drawn_once):
    name = make_head("zq", "category", {"metrics": ('else float("nan")', "else 0.0")})
    failed = {finding.check for finding in check_head(name) if finding.state != "ok"}
    assert failed == {"what cannot be said is nan"}
