"""Objectives in OpenSLO documents: reads them, turns their own queries into rules, and writes ours."""
