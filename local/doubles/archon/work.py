"""The tools about projects, tasks, documents and versions, with Archon V1's names and arguments."""

from __future__ import annotations

from typing import Any

from mcp.server import MCPServer

from local.doubles.archon.answers import failed, lacking, missing, told, unknown_action
from local.doubles.archon.state import ArchonState, Row, brief, choose, page_of

ACTIONS = ("create", "update", "delete")
STATES = ("todo", "doing", "review", "done")


def add_work_tools(server: MCPServer, state: ArchonState) -> None:
    """find_… and manage_…"""
    _add_projects(server, state)
    _add_tasks(server, state)
    _add_documents(server, state)
    _add_versions(server, state)


def _add_projects(server: MCPServer, state: ArchonState) -> None:
    @server.tool()
    def find_projects(
        project_id: str | None = None, query: str | None = None, page: int = 1, per_page: int = 10
    ) -> str:
        if project_id:
            project = state.projects.get(project_id)
            return told(project=project) if project else missing("Project", project_id)
        found = choose(state.projects.values(), query, ("title", "description"))
        shown = [brief(row) for row in page_of(found, page, per_page)]
        return told(projects=shown, count=len(shown), total=len(found), page=page, per_page=per_page, query=query)

    @server.tool()
    def manage_project(
        action: str,
        project_id: str | None = None,
        title: str | None = None,
        description: str | None = None,
        github_repo: str | None = None,
    ) -> str:
        given = {"title": title, "description": description, "github_repo": github_repo}
        if action == "create":
            if not title:
                return lacking("title")
            project = state.create(state.projects, **given)
            return told(project=project, project_id=project["id"], message="Project created")
        return _change(state, state.projects, "Project", action, project_id, given)

    @server.tool()
    def get_project_features(project_id: str) -> str:
        if project_id not in state.projects:
            return missing("Project", project_id)
        features = sorted({task["feature"] for task in _tasks_of(state, project_id) if task.get("feature")})
        return told(features=features, count=len(features))


def _add_tasks(server: MCPServer, state: ArchonState) -> None:
    @server.tool()
    def find_tasks(
        query: str | None = None,
        task_id: str | None = None,
        filter_by: str | None = None,
        filter_value: str | None = None,
        project_id: str | None = None,
        include_closed: bool = True,  # noqa: FBT001, FBT002 - Archon's own signature
        page: int = 1,
        per_page: int = 10,
    ) -> str:
        if task_id:
            task = state.tasks.get(task_id)
            return told(task=task) if task else missing("Task", task_id)
        column = {"status": "status", "project": "project_id", "assignee": "assignee"}.get(filter_by or "")
        if filter_by and not column:
            return failed("validation_error", f"filter_by {filter_by} is unknown")
        rows = _tasks_of(state, project_id)
        rows = [row for row in rows if not column or row.get(column) == filter_value]
        rows = [row for row in rows if include_closed or row["status"] != "done"]
        found = choose(rows, query, ("title", "description"))
        shown = [brief(row) for row in page_of(found, page, per_page)]
        return told(tasks=shown, total_count=len(found), count=len(shown), query=query)

    @server.tool()
    def manage_task(
        action: str,
        task_id: str | None = None,
        project_id: str | None = None,
        title: str | None = None,
        description: str | None = None,
        status: str | None = None,
        assignee: str | None = None,
        task_order: int | None = None,
        feature: str | None = None,
    ) -> str:
        if status and status not in STATES:
            return failed("validation_error", f"status must be one of {', '.join(STATES)}")
        given: Row = {"title": title, "description": description, "status": status, "assignee": assignee}
        given |= {"task_order": task_order, "feature": feature}
        if action == "create":
            if not title or not project_id:
                return lacking("project_id", "title")
            if project_id not in state.projects:
                return missing("Project", project_id)
            values = {**given, "project_id": project_id, "status": status or "todo", "assignee": assignee or "User"}
            task = state.create(state.tasks, **values)
            return told(task=task, task_id=task["id"], message="Task created")
        return _change(state, state.tasks, "Task", action, task_id, given)


def _add_documents(server: MCPServer, state: ArchonState) -> None:
    @server.tool()
    def find_documents(
        project_id: str,
        document_id: str | None = None,
        query: str | None = None,
        document_type: str | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> str:
        if document_id:
            document = state.documents.get(document_id)
            return told(document=document) if document else missing("Document", document_id)
        rows = [row for row in state.documents.values() if row["project_id"] == project_id]
        rows = [row for row in rows if not document_type or row["document_type"] == document_type]
        found = choose(rows, query, ("title",))
        shown = [brief(row, lambda name: name == "content") for row in page_of(found, page, per_page)]
        return told(documents=shown, count=len(shown), total=len(found), project_id=project_id)

    @server.tool()
    def manage_document(
        action: str,
        project_id: str,
        document_id: str | None = None,
        title: str | None = None,
        document_type: str | None = None,
        content: dict[str, Any] | None = None,
        tags: list[str] | None = None,
        author: str | None = None,
    ) -> str:
        given = {"title": title, "document_type": document_type, "content": content, "tags": tags, "author": author}
        if action == "create":
            if project_id not in state.projects:
                return missing("Project", project_id)
            if not title or not document_type:
                return lacking("title", "document_type")
            document = state.create(state.documents, project_id=project_id, **given)
            return told(document=document, document_id=document["id"], message="Document created")
        return _change(state, state.documents, "Document", action, document_id, given)


def _add_versions(server: MCPServer, state: ArchonState) -> None:
    @server.tool()
    def find_versions(
        project_id: str,
        field_name: str | None = None,
        version_number: int | None = None,
        page: int = 1,
        per_page: int = 10,
    ) -> str:
        rows = [row for row in state.versions if row["project_id"] == project_id]
        rows = [row for row in rows if field_name in (None, row["field_name"])]
        rows = [row for row in rows if version_number in (None, row["version_number"])]
        return told(versions=page_of(rows, page, per_page), count=len(rows), project_id=project_id)

    @server.tool()
    def manage_version(
        action: str,
        project_id: str,
        field_name: str,
        version_number: int | None = None,
        content: dict[str, Any] | list[dict[str, Any]] | None = None,
        change_summary: str | None = None,
        document_id: str | None = None,
        created_by: str = "system",
    ) -> str:
        mine = [row for row in state.versions if (row["project_id"], row["field_name"]) == (project_id, field_name)]
        if action == "create":
            if content is None:
                return lacking("content")
            kept = {"project_id": project_id, "field_name": field_name, "version_number": len(mine) + 1}
            kept |= {"content": content, "change_summary": change_summary, "created_by": created_by}
            state.versions.append({**kept, "document_id": document_id})
            return told(version=state.versions[-1], message="Version created")
        if action == "restore":
            found = next((row for row in mine if row["version_number"] == version_number), None)
            return told(version=found, message="Version restored") if found else missing("Version", str(version_number))
        return unknown_action(action, ("create", "restore"))


def _change(state: ArchonState, table: dict[str, Row], what: str, action: str, row_id: str | None, given: Row) -> str:
    """update and delete, which are the same for all."""
    if action not in ACTIONS:
        return unknown_action(action, ACTIONS)
    name = what.lower()
    if not row_id:
        return lacking(f"{name}_id")
    if action == "delete":
        return told(message=f"{what} deleted") if table.pop(row_id, None) else missing(what, row_id)
    row = state.update(table, row_id, given)
    return told(**{name: row, f"{name}_id": row_id}, message=f"{what} updated") if row else missing(what, row_id)


def _tasks_of(state: ArchonState, project_id: str | None) -> list[Row]:
    return [task for task in state.tasks.values() if project_id in (None, task["project_id"])]
