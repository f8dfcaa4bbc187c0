"""What a user is told."""

import pytest

from lightning_gen.errors import UserError


def assert_refused(match, call, *arguments, **options):
    """A call raises a UserError of one line."""
    with pytest.raises(UserError, match=match) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
