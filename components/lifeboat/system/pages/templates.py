"""Templates of pages, which stand in the folder `templates` of a package."""

from __future__ import annotations

from typing import Any

import jinja2

from lifeboat.system.pages.look import ICON, STATIC_POLICY, look, report_style


def page_templates(package: str) -> jinja2.Environment:
    """The templates of a package: what they show is escaped, and what they are not given is an error.

    Args:
        package: such as "lifeboat.demo".
    """
    loader = jinja2.ChoiceLoader([jinja2.PackageLoader(package), jinja2.PackageLoader("lifeboat.system.pages")])
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(look=look, report_style=report_style, icon=ICON, static_policy=STATIC_POLICY)
    return environment


def render(package: str, name: str, **content: Any) -> str:
    """One page of a package's templates as HTML."""
    return page_templates(package).get_template(name).render(content)
