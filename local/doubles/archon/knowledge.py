"""The tools about the server itself and about knowledge, with Archon V1's names and arguments."""

from __future__ import annotations

import time

from mcp.server import MCPServer

from local.doubles.archon.answers import failed, lacking, told
from local.doubles.archon.state import ArchonState, Row, choose

STARTED = time.monotonic()
MODES = ("pages", "chunks")


def add_knowledge_tools(server: MCPServer, state: ArchonState) -> None:
    """health_check, session_info and rag_…"""

    @server.tool()
    def health_check() -> str:
        return told(
            status="healthy",
            health={"status": "healthy", "api_service": True, "agents_service": False},
            uptime_seconds=round(time.monotonic() - STARTED),
        )

    @server.tool()
    def session_info() -> str:
        return told(session_management={"active_sessions": 1}, uptime_seconds=round(time.monotonic() - STARTED))

    @server.tool()
    def rag_get_available_sources() -> str:
        return told(sources=state.sources, count=len(state.sources))

    @server.tool()
    def rag_search_knowledge_base(
        query: str, source_id: str | None = None, match_count: int = 5, return_mode: str = "pages"
    ) -> str:
        if return_mode not in MODES:
            return failed("validation_error", f"return_mode must be one of {', '.join(MODES)}")
        found = _search(state, query, source_id, match_count)
        pages = [{**page, "preview": page["content"][:200], "chunk_matches": 1, "similarity": 0.9} for page in found]
        return told(results=pages, return_mode=return_mode, reranked=False, error=None)

    @server.tool()
    def rag_search_code_examples(query: str, source_id: str | None = None, match_count: int = 5) -> str:
        found = [page for page in _search(state, query, source_id, match_count) if "```" in page["content"]]
        return told(results=found, reranked=False, error=None)

    @server.tool()
    def rag_list_pages_for_source(source_id: str, section: str | None = None) -> str:
        pages = [page for page in state.pages if page["source_id"] == source_id]
        return told(pages=[page for page in pages if not section or section in page["title"]], total=len(pages))

    @server.tool()
    def rag_read_full_page(page_id: str | None = None, url: str | None = None) -> str:
        if not page_id and not url:
            return lacking("page_id or url")
        page = next((one for one in state.pages if page_id == one["page_id"] or (url and url == one["url"])), None)
        return told(page=page) if page else failed("not_found", "Page not found", http_status=404)


def _search(state: ArchonState, query: str, source_id: str | None, most: int) -> list[Row]:
    pages = [page for page in state.pages if not source_id or page["source_id"] == source_id]
    return choose(pages, query, ("title", "content"))[: max(most, 0)]
