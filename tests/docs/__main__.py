"""`python -m tests.docs`: makes those parts of the pages anew that follow from the code."""

from tests.docs.pages import GENERATED, made_anew

for page in GENERATED:
    page.write_text(made_anew(page))
