"""The Prefect side of digest, shared by the flows: runs, tasks, artifacts, the approval form.

`digest` never imports Prefect, and flow files import no helpers from beside them; what
several flows need of Prefect stands here, installed.
"""
