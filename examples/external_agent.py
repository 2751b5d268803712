# ruff: noqa: INP001
"""An agent that runs elsewhere: reads orders, pays what it may, and tells Muster about it.

It needs a running Muster and an API key of kind agent, and calls no model:

    MUSTER_URL=http://localhost:8000 MUSTER_AGENT_KEY=... python examples/external_agent.py
"""

import sys

from muster.sdk import Muster, StepBlocked

ORDERS = {"4711": 128.5, "4712": 12_000.0, "4713": 19.9}


def main() -> int:
    """Work through the orders; the exit code says whether Muster knows of all of it."""
    muster = Muster(
        agent_key="order-clerk",
        name="Order clerk",
        purpose="Pays small orders",
        risk_classification="limited",
        environment="development",
        declared_tools=["read_order", "pay"],
    )

    @muster.step("step.resource", "read_order", verb="GET")
    def read_order(number: str) -> float:
        return ORDERS[number]

    def pay(number: str, total: float) -> bool:
        given = {"order": number, "total": total}
        try:
            with muster.step("step.resource", "pay", verb="POST", input=given, gate=True) as step:
                step.output = {"paid": True}
        except StepBlocked as blocked:
            sys.stdout.write(f"{number}: not paid, {blocked}\n")
            return False
        sys.stdout.write(f"{number}: paid {total}\n")
        return True

    for number in ORDERS:
        with muster.task(name=f"Order {number}", inputs={"order": number}) as task:
            task.output = {"paid": pay(number, read_order(number))}
    is_told = muster.close()
    health = muster.health
    sys.stdout.write(f"{health.sent} steps told, {health.blocked} blocked\n")
    return 0 if is_told and not health.rejected else 1


if __name__ == "__main__":
    sys.exit(main())
