"""The protocols of other providers, for the scripted server."""

from collections.abc import Iterable
from typing import Any, ClassVar

from tests.support.model_scripts import Reply
from tests.support.model_server import Conversation, OpenAIWire, _decode, pieces, sse


class GroqWire(OpenAIWire):
    """OpenAI's protocol with Groq's names for things."""

    names = ("llama-3.3-70b-versatile", "openai/gpt-oss-120b")
    thinking_field = "reasoning"

    def usage(self, reply: Reply) -> dict[str, Any]:
        return super().usage(reply) | {"queue_time": 0.01, "total_time": 0.2}


class DeepSeekWire(OpenAIWire):
    """OpenAI's protocol with DeepSeek's cache counters."""

    names = ("deepseek-chat", "deepseek-reasoner")

    def usage(self, reply: Reply) -> dict[str, Any]:
        tokens = reply.tokens()
        return super().usage(reply) | {
            "prompt_cache_hit_tokens": tokens["cached"],
            "prompt_cache_miss_tokens": tokens["input"] - tokens["cached"],
        }


class OllamaWire(OpenAIWire):
    """OpenAI's protocol as Ollama serves it: no token details."""

    names = ("llama3.2:3b", "qwen3:8b")
    thinking_field = "reasoning"

    def usage(self, reply: Reply) -> dict[str, Any]:
        tokens = reply.tokens()
        return {
            "prompt_tokens": tokens["input"],
            "completion_tokens": tokens["output"],
            "total_tokens": tokens["input"] + tokens["output"],
        }


class MistralWire(OpenAIWire):
    """Mistral's protocol: OpenAI's with another shape of errors."""

    names = ("mistral-large-latest", "mistral-small-latest")

    def answer(self, reply: Reply, body: dict[str, Any], number: int) -> dict[str, Any]:
        data = super().answer(reply, body, number)
        message = data["choices"][0]["message"]
        if thought := message.pop(self.thinking_field, None):
            message["content"] = [
                {"type": "thinking", "thinking": [{"type": "text", "text": thought}]},
                {"type": "text", "text": reply.text},
            ]
        return data

    def events(self, reply: Reply, body: dict[str, Any], number: int) -> Iterable[bytes]:
        head = {"id": f"cmpl-{number}", "object": "chat.completion.chunk", "created": 1}
        head["model"] = body["model"]

        def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            return sse(head | {"choices": [choice]} | more)

        yield chunk({"role": "assistant", "content": ""})
        for piece in pieces(reply.thinking):
            text = [{"type": "text", "text": piece}]
            yield chunk({"content": [{"type": "thinking", "thinking": text}]})
        for piece in pieces(reply.text):
            yield chunk({"content": piece})
        calls = [
            {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}
            for index, (id_, name, arguments) in enumerate(reply.calls())
        ]
        delta = {"content": "", "tool_calls": calls} if calls else {"content": ""}
        yield chunk(delta, self.finish(reply), usage=self.usage(reply))
        yield b"data: [DONE]\n\n"

    def error(self, reply: Reply) -> dict[str, Any]:
        return {"object": "error", "message": reply.message, "type": "scripted", "code": "1000"}


class AnthropicWire:
    """The Messages API."""

    names = ("claude-sonnet-4-6", "claude-haiku-4-5")
    _reasons: ClassVar = {"length": "max_tokens", "content_filter": "refusal", "stop": "end_turn"}

    def asks(self, path: str) -> bool:
        return path.endswith("/v1/messages")

    def streams(self, path: str, body: dict[str, Any]) -> bool:
        return bool(body.get("stream"))

    def conversation(self, body: dict[str, Any]) -> Conversation:
        messages: list[dict[str, Any]] = body["messages"]
        results = [
            block
            for block in messages[-1]["content"]
            if isinstance(block, dict) and block["type"] == "tool_result"
        ]
        return Conversation(
            assistant_turns=sum(message["role"] == "assistant" for message in messages),
            tool_results=len(results),
            tools=[(tool["name"], tool["input_schema"]) for tool in body.get("tools") or []],
            user_text="text",
            schema=None,
        )

    def answer(self, reply: Reply, body: dict[str, Any], number: int) -> dict[str, Any]:
        return {
            "id": f"msg_{number}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "content": self._blocks(reply),
            "stop_reason": self._stop_reason(reply),
            "stop_sequence": None,
            "usage": self._usage(reply),
        }

    def events(self, reply: Reply, body: dict[str, Any], number: int) -> Iterable[bytes]:
        usage = self._usage(reply)
        message = self.answer(reply, body, number)
        message |= {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        yield sse({"type": "message_start", "message": message}, "message_start")
        for index, block in enumerate(self._blocks(reply)):
            yield from self._block_events(index, block)
        ending = {"stop_reason": self._stop_reason(reply), "stop_sequence": None}
        yield sse({"type": "message_delta", "delta": ending, "usage": usage}, "message_delta")
        yield sse({"type": "message_stop"}, "message_stop")

    def error(self, reply: Reply) -> dict[str, Any]:
        error = {"type": reply.code or "scripted_error", "message": reply.message}
        return {"type": "error", "error": error}

    def models(self, query: str) -> dict[str, Any]:
        first = "after_id" not in query
        name = self.names[0 if first else 1]
        return {"data": [{"id": name, "type": "model"}], "has_more": first, "last_id": name}

    def _blocks(self, reply: Reply) -> list[dict[str, Any]]:
        blocks: list[dict[str, Any]] = []
        if reply.thinking:
            signed = {"thinking": reply.thinking, "signature": reply.signature}
            blocks.append({"type": "thinking"} | signed)
        if reply.text:
            blocks.append({"type": "text", "text": reply.text})
        for id_, name, arguments in reply.calls():
            parsed = _decode(arguments.encode())
            blocks.append({"type": "tool_use", "id": id_, "name": name, "input": parsed})
        return blocks

    def _block_events(self, index: int, block: dict[str, Any]) -> Iterable[bytes]:
        empty = {"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""}}
        begun = block | empty.get(block["type"], {"input": {}})
        deltas: list[dict[str, Any]] = []
        if block["type"] == "thinking":
            deltas += [
                {"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])
            ]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        elif block["type"] == "text":
            deltas += [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
        else:
            text = sse(block["input"]).removeprefix(b"data: ").strip().decode()
            deltas += [
                {"type": "input_json_delta", "partial_json": piece} for piece in pieces(text)
            ]
        start = {"type": "content_block_start", "index": index, "content_block": begun}
        yield sse(start, "content_block_start")
        for delta in deltas:
            event = {"type": "content_block_delta", "index": index, "delta": delta}
            yield sse(event, "content_block_delta")
        yield sse({"type": "content_block_stop", "index": index}, "content_block_stop")

    def _stop_reason(self, reply: Reply) -> str:
        if reply.finish_reason:
            return self._reasons[reply.finish_reason]
        return "tool_use" if reply.tool_calls else "end_turn"

    def _usage(self, reply: Reply) -> dict[str, int]:
        tokens = reply.tokens()
        return {
            "input_tokens": tokens["input"] - tokens["cached"] - tokens["written"],
            "cache_read_input_tokens": tokens["cached"],
            "cache_creation_input_tokens": tokens["written"],
            "output_tokens": tokens["output"],
        }


class GoogleWire:
    """The Gemini API's `generateContent` and `streamGenerateContent`."""

    names = ("gemini-2.5-pro", "gemini-2.5-flash")
    _reasons: ClassVar = {"length": "MAX_TOKENS", "content_filter": "SAFETY", "stop": "STOP"}

    def asks(self, path: str) -> bool:
        return path.lower().endswith("generatecontent")

    def streams(self, path: str, body: dict[str, Any]) -> bool:
        return path.endswith(":streamGenerateContent")

    def conversation(self, body: dict[str, Any]) -> Conversation:
        raise NotImplementedError("scripts for this wire choose by call")

    def answer(self, reply: Reply, body: dict[str, Any], number: int) -> dict[str, Any]:
        return self._chunk(self._parts(reply), reply, number, final=True)

    def events(self, reply: Reply, body: dict[str, Any], number: int) -> Iterable[bytes]:
        for part in self._parts(reply):
            if "functionCall" in part:
                yield sse(self._chunk([part], reply, number))
                continue
            for piece in pieces(part["text"]):
                yield sse(self._chunk([part | {"text": piece}], reply, number))
        yield sse(self._chunk([{"text": ""}], reply, number, final=True))

    def error(self, reply: Reply) -> dict[str, Any]:
        return {
            "error": {
                "code": reply.status,
                "message": reply.message,
                "status": reply.code or "INVALID_ARGUMENT",
            }
        }

    def models(self, query: str) -> dict[str, Any]:
        able = {"supportedGenerationMethods": ["generateContent"]}
        if "pageToken" in query:
            unable = {"name": "models/embedding", "supportedGenerationMethods": ["embedContent"]}
            return {"models": [{"name": f"models/{self.names[1]}"} | able, unable]}
        return {"models": [{"name": f"models/{self.names[0]}"} | able], "nextPageToken": "two"}

    def _parts(self, reply: Reply) -> list[dict[str, Any]]:
        parts: list[dict[str, Any]] = []
        if reply.thinking:
            parts.append({"text": reply.thinking, "thought": True})
        if reply.text:
            parts.append({"text": reply.text})
        for id_, name, arguments in reply.calls():
            call = {"id": id_, "name": name, "args": _decode(arguments.encode())}
            part: dict[str, Any] = {"functionCall": call}
            if reply.signature and not any("functionCall" in one for one in parts):
                part["thoughtSignature"] = reply.signature
            parts.append(part)
        return parts

    def _chunk(
        self, parts: list[dict[str, Any]], reply: Reply, number: int, *, final: bool = False
    ) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
        chunk = {
            "responseId": f"r{number}",
            "modelVersion": "gemini-2.5-pro",
            "candidates": [candidate],
        }
        if final:
            candidate["finishReason"] = self._reasons[reply.finish_reason or "stop"]
            tokens = reply.tokens()
            chunk["usageMetadata"] = {
                "promptTokenCount": tokens["input"],
                "cachedContentTokenCount": tokens["cached"],
                "candidatesTokenCount": tokens["output"] - tokens["reasoning"],
                "thoughtsTokenCount": tokens["reasoning"],
                "totalTokenCount": tokens["input"] + tokens["output"],
            }
        return chunk
