"""What the frameworks ask for, item by item: also what no policy of theirs covers.

A template names only the items that its policies are about. Without the whole list a report could
not say what is missing. Templates that are not here are collections of policies, without a list.
"""

from collections.abc import Mapping

ITEMS: Mapping[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "owasp_agentic_default": (
        "OWASP",
        (
            ("ASI01", "Agent Goal Hijack"),
            ("ASI02", "Tool Misuse and Exploitation"),
            ("ASI03", "Identity and Privilege Abuse"),
            ("ASI04", "Agentic Supply Chain Vulnerabilities"),
            ("ASI05", "Unexpected Code Execution"),
            ("ASI06", "Memory and Context Poisoning"),
            ("ASI07", "Insecure Inter-Agent Communication"),
            ("ASI08", "Cascading Failures"),
            ("ASI09", "Human-Agent Trust Exploitation"),
            ("ASI10", "Rogue Agents"),
        ),
    ),
    "eu_ai_act_high_risk": (
        "EU AI Act",
        (
            ("Article 9", "Risk management system"),
            ("Article 10", "Data and data governance"),
            ("Article 11", "Technical documentation"),
            ("Article 12", "Record-keeping"),
            ("Article 13", "Transparency and information to deployers"),
            ("Article 14", "Human oversight"),
            ("Article 15", "Accuracy, robustness and cybersecurity"),
            ("Article 17", "Quality management system"),
            ("Article 18", "Documentation keeping"),
            ("Article 19", "Automatically generated logs"),
            ("Article 20", "Corrective actions and duty of information"),
            ("Article 26", "Obligations of deployers"),
            ("Article 27", "Fundamental rights impact assessment"),
            ("Article 72", "Post-market monitoring"),
            ("Article 73", "Reporting of serious incidents"),
        ),
    ),
    "eu_ai_act_minimal": (
        "EU AI Act",
        (
            ("Article 4", "AI literacy"),
            ("Article 5", "Prohibited practices"),
            ("Article 26", "Obligations of deployers"),
            ("Article 50", "Transparency obligations"),
        ),
    ),
    "gdpr": (
        "GDPR",
        (
            ("Article 5", "Principles of processing"),
            ("Article 6", "Lawfulness of processing"),
            ("Article 7", "Conditions for consent"),
            ("Article 9", "Special categories of personal data"),
            ("Article 13", "Information where data are collected"),
            ("Article 15", "Right of access"),
            ("Article 17", "Right to erasure"),
            ("Article 22", "Automated individual decision-making"),
            ("Article 25", "Data protection by design and by default"),
            ("Article 28", "Processors"),
            ("Article 30", "Records of processing activities"),
            ("Article 32", "Security of processing"),
            ("Article 33", "Notification of a breach to the authority"),
            ("Article 35", "Data protection impact assessment"),
            ("Article 44", "Transfers to third countries"),
        ),
    ),
}
