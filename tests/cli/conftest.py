import pytest


@pytest.fixture(scope="session")
def train(main):
    """Runs commands that must go well in a folder, which is then to be read only."""

    def run(folder, *commands):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("PL_GLOBAL_SEED", "0")
            patch.setenv("PL_SEED_WORKERS", "0")
            for words in commands:
                assert main([str(word) for word in words]) == 0, words
        return folder

    return run
