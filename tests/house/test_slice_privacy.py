"""The import contract for slices, tried on a small package made for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION = """
[tool.importlinter]
root_package = "shop"
contract_types = ["slice_privacy: tools.slice_privacy.SlicePrivacy"]

[[tool.importlinter.contracts]]
name = "Slices meet at package roots"
type = "slice_privacy"
ancestors = ["shop.sales", "shop.stock"]
exempt = ["shop.main"]
"""

PACKAGE = {
    "shop/__init__.py": "",
    "shop/sales/__init__.py": "",
    "shop/sales/orders/__init__.py": "from shop.sales.orders.service import place\n",
    "shop/sales/orders/service.py": "from shop.sales.orders import models\nplace = models\n",
    "shop/sales/orders/models.py": "",
    "shop/stock/__init__.py": "",
    "shop/stock/items/__init__.py": "from shop.sales.orders import place\n",
    "shop/stock/prices.py": "",
    "shop/main/__init__.py": "",
    "shop/main/app.py": "from shop.sales.orders import service\nfrom shop.stock import prices\n",
}


def lint(folder: Path, extra: dict[str, str]) -> subprocess.CompletedProcess[str]:
    files = {**PACKAGE, "pyproject.toml": CONFIGURATION, **extra}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    program = (
        "import sys; from importlinter.cli import lint_imports_command as lint; "
        f"sys.path.insert(0, {str(ROOT)!r}); lint(['--no-cache'])"
    )
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_roots_own_modules_plain_modules_and_exempt_packages_are_allowed(tmp_path: Path) -> None:
    result = lint(tmp_path, {})

    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 kept, 0 broken" in result.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "from shop.sales.orders.models import Order",
        "from shop.sales.orders import models",
        "import shop.sales.orders.models",
    ],
)
def test_reaching_into_another_slice_is_named_with_its_line(tmp_path: Path, statement: str) -> None:
    result = lint(tmp_path, {"shop/stock/items/service.py": f"\n{statement}\n"})

    assert result.returncode == 1
    assert "shop.sales.orders is reached into; import from shop.sales.orders itself:" in (
        result.stdout
    )
    assert "shop.stock.items.service -> shop.sales.orders.models (l.2)" in result.stdout
    assert "export it there in __all__" in result.stdout


def test_a_neighbour_in_the_same_package_is_outside_too(tmp_path: Path) -> None:
    neighbour = {"shop/sales/refunds/__init__.py": "from shop.sales.orders.service import place\n"}

    result = lint(tmp_path, neighbour)

    assert result.returncode == 1
    assert "shop.sales.refunds -> shop.sales.orders.service (l.1)" in result.stdout


def test_an_ancestor_that_does_not_exist_is_a_warning(tmp_path: Path) -> None:
    wrong = CONFIGURATION.replace('"shop.stock"', '"shop.stocks"')

    result = lint(tmp_path, {"pyproject.toml": wrong})

    assert result.returncode == 0, result.stdout + result.stderr
    assert "shop.stocks does not exist." in result.stdout
