"""What runs may do: the gate and the approvals."""
