"""How often the findings of ``sidelight check`` are right, measured on rule files and dashboards of public projects."""
