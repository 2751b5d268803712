"""Results of Model Context Protocol servers as plain JSON values."""

from typing import TYPE_CHECKING, Any

from muster.adapters.tools.base import ToolOutcome, shorten

if TYPE_CHECKING:
    from mcp_types import CallToolResult, ContentBlock, Tool

_MAX_BINARY_CHARS = 8_000_000


def describe_tool(tool: "Tool") -> dict[str, Any]:
    """One entry of `discover`: name, title, description, schemas and the server's hints."""
    annotations = tool.annotations
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description or "",
        "input_schema": tool.input_schema,
        "output_schema": tool.output_schema,
        "annotations": annotations.model_dump(exclude_none=True) if annotations else {},
    }


def read_result(result: "CallToolResult") -> ToolOutcome:
    """Turn a call's result into an outcome.

    `content` is the structured value if the server gave one beside texts only, the text if the
    answer is one text, else the list of blocks.
    """
    blocks = [_block(block) for block in result.content]
    only_text = all(block["type"] == "text" for block in blocks)
    properties: dict[str, Any] = {"blocks": [block["type"] for block in blocks]}
    if result.structured_content is not None and not result.is_error:
        properties["structured"] = True
        if only_text:
            return ToolOutcome(content=result.structured_content, properties=properties)
        blocks.append({"type": "structured", "value": result.structured_content})
    if only_text and len(blocks) == len(result.content):
        content: Any = "\n".join(block["text"] for block in blocks)
    else:
        content = blocks
    return ToolOutcome(content=content, is_error=result.is_error, properties=properties)


def _block(block: "ContentBlock") -> dict[str, Any]:
    match block.type:
        case "text":
            return {"type": "text", "text": shorten(block.text)[0]}
        case "image" | "audio":
            return {"type": block.type, "mime_type": block.mime_type, **_binary(block.data)}
        case "resource_link":
            return {
                "type": "resource_link",
                "uri": str(block.uri),
                "name": block.name,
                "description": block.description,
                "mime_type": block.mime_type,
            }
        case "resource":
            resource = block.resource
            described = {
                "type": "resource",
                "uri": str(resource.uri),
                "mime_type": resource.mime_type,
            }
            blob: str | None = getattr(resource, "blob", None)
            if blob is not None:
                return {**described, **_binary(blob)}
            return {**described, "text": shorten(getattr(resource, "text", ""))[0]}


def _binary(data: str) -> dict[str, Any]:
    if len(data) > _MAX_BINARY_CHARS:
        return {"data": None, "note": "left out: it is too large"}
    return {"data": data}
