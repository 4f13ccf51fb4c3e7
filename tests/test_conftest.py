"""The policies of conftest.py themselves: they must fail the tests that they are there to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import FIRST

CONFTEST = Path(__file__).with_name("conftest.py")


@pytest.fixture
def policed(pytester: pytest.Pytester) -> pytest.Pytester:
    """A test run of its own under this repository's conftest.py."""
    pytester.makeconftest(CONFTEST.read_text(encoding="utf-8"))
    pytester.makeini("[pytest]\nmarkers = expects_log\nfilterwarnings = error\n")
    return pytester


def test_an_unexpected_warning_fails_the_test_that_logged_it(policed: pytest.Pytester) -> None:
    policed.makepyfile(
        """
        import logging
        import threading

        import pytest

        log = logging.getLogger("rosecache.update")

        def test_silent():
            log.info("all is well")
            logging.getLogger("another.library").error("not ours")

        def test_warns():
            log.warning("the disk is %s", "full")

        def test_warns_in_a_thread():
            thread = threading.Thread(target=log.error, args=("from a thread",))
            thread.start()
            thread.join()

        @pytest.mark.expects_log("disk is full", "and .* again")
        def test_expects():
            log.warning("the disk is full")
            logging.getLogger("rosefs").error("and full again")

        @pytest.mark.expects_log("disk is full")
        def test_expects_another():
            log.warning("the disk is full")
            log.warning("the disk is gone")

        @pytest.mark.expects_log("disk is full")
        def test_expects_in_vain():
            pass
        """
    )
    result = policed.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines_random(
        [
            "*unexpected log records:",
            "*WARNING rosecache.update: the disk is full",
            "*ERROR rosecache.update: from a thread",
            "*WARNING rosecache.update: the disk is gone",
            "*expected log records that did not come:",
        ]
    )


def test_a_warning_while_fixtures_end_fails_the_test_too(policed: pytest.Pytester) -> None:
    policed.makepyfile(
        """
        import logging

        import pytest

        @pytest.fixture
        def noisy_end():
            yield
            logging.getLogger("rosefs.fuse").warning("not unmounted")

        def test_it(noisy_end):
            pass
        """
    )
    result = policed.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*WARNING rosefs.fuse: not unmounted"])


@pytest.mark.parametrize(("ci", "outcome"), [("false", "skipped"), ("true", "errors")])
def test_what_the_machine_lacks_is_a_skip_for_a_user_and_a_failure_in_ci(
    policed: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: str
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PATH", "/nonexistent")
    policed.makepyfile(llfuse="raise ImportError('libfuse.so.2: no such file')")
    policed.makepyfile(
        test_it="""
        import sys

        def test_mounting(need_fuse):
            pass

        def test_binding(binding):
            assert binding == "llfuse"
        """
    )
    policed.syspathinsert()
    result = policed.runpytest_subprocess("-p", "no:cacheprovider", "-k", "mounting or llfuse", "-rs")
    result.assert_outcomes(**{outcome: 2}, deselected=1)
    result.stdout.fnmatch_lines_random(
        ["*fusermount3 is missing*", "*llfuse cannot be imported: libfuse.so.2*"]
    )


@pytest.mark.usefixtures("need_fuse")
def test_a_mount_left_behind_is_unmounted_and_fails_the_run(policed: pytest.Pytester) -> None:
    policed.makepyfile(
        """
        import os
        import socket
        import subprocess

        def test_forgets_its_mount(tmp_path):
            mount_point = tmp_path / "with blank"
            mount_point.mkdir()
            ours, theirs = socket.socketpair()
            with ours, theirs:
                # fusermount3 hands over the open device this way; closing it leaves a dead mount.
                subprocess.run(
                    ["fusermount3", "-o", "fsname=forgotten", "--", mount_point],
                    env=os.environ | {"_FUSE_COMMFD": str(theirs.fileno())},
                    pass_fds=[theirs.fileno()],
                    check=True,
                )
                _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
                os.close(descriptors[0])
        """
    )
    result = policed.runpytest_subprocess("-p", "no:cacheprovider", f"--basetemp={policed.path / 'base'}")
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*mounts were left behind:", "*/with blank"])
    assert str(policed.path) not in Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def test_what_takes_longest_is_there_and_is_begun_with(policed: pytest.Pytester) -> None:
    assert [file for file in FIRST if not (CONFTEST.parent / file).is_file()] == []
    last, first = FIRST[1], FIRST[0]
    for file in ("a/test_other.py", last, first):
        path = policed.path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text("import pytest\n@pytest.mark.parametrize('n', [1, 2])\ndef test(n): pass\n")
    result = policed.runpytest_subprocess("-p", "no:cacheprovider", "--collect-only", "-q")
    collected = [line.split("::") for line in result.outlines if "::" in line]
    files = [first, first, last, last, "a/test_other.py", "a/test_other.py"]
    assert collected == [[file, f"test[{number}]"] for file, number in zip(files, (1, 2) * 3, strict=True)]
