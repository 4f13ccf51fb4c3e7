"""What each write operation means in each kind of place: one table, from operation and place to a handler.

What is not in the table is refused and changes nothing. The handlers are in ``release_gestures``,
``removal_gestures``, ``list_gestures``, ``sink_gestures`` and ``arrival_gestures``; they call the edits of
``rosefs.library``, which take locks, note what they do in the journal, and bring the cache up to date before they
return.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rosecache.errors import LockTimeoutError, RosecacheError
from rosefs.library.errors import (
    AlreadyExistsError,
    CacheBehindError,
    InvalidNameError,
    NotFoundError,
    TrashError,
)
from rosefs.vfs import arrival_gestures, list_gestures, release_gestures, removal_gestures, sink_gestures
from rosefs.vfs.edits import Edits, Handler, Operation, Request
from rosefs.vfs.errors import (
    BusyError,
    ExistsError,
    FileSystemError,
    InvalidRequestError,
    NoEntryError,
    NotPermittedError,
    SourceWriteError,
)
from rosefs.vfs.nodes import Node
from rosefs.vfs.places import Place

log = logging.getLogger(__name__)

GESTURES: Mapping[tuple[Operation, Place], Handler] = {
    (Operation.CREATE, Place.RELEASE): release_gestures.create,
    (Operation.CREATE, Place.PLAYLIST): sink_gestures.create,
    (Operation.CREATE, Place.COLLAGE_RELEASE): sink_gestures.create,
    (Operation.CREATE, Place.SINK): sink_gestures.create,
    (Operation.WRITE, Place.RELEASE): release_gestures.expect_source_file,
    (Operation.WRITE, Place.ALL_TRACKS): release_gestures.expect_source_file,
    (Operation.WRITE, Place.COLLAGE_RELEASE): release_gestures.expect_source_file,
    (Operation.WRITE, Place.COLLAGE_TRACKS): release_gestures.expect_source_file,
    (Operation.WRITE, Place.PLAYLIST): list_gestures.expect_file_of_playlist,
    (Operation.TRUNCATE, Place.RELEASE): release_gestures.expect_source_file,
    (Operation.TRUNCATE, Place.ALL_TRACKS): release_gestures.expect_source_file,
    (Operation.TRUNCATE, Place.COLLAGE_RELEASE): sink_gestures.sink_over,
    (Operation.TRUNCATE, Place.COLLAGE_TRACKS): sink_gestures.sink_over,
    (Operation.TRUNCATE, Place.PLAYLIST): sink_gestures.sink_over,
    (Operation.SET_ATTRIBUTES, Place.RELEASE): release_gestures.set_attributes,
    (Operation.SET_ATTRIBUTES, Place.ALL_TRACKS): release_gestures.set_attributes,
    (Operation.SET_ATTRIBUTES, Place.RELEASES): release_gestures.set_attributes,
    (Operation.SET_ATTRIBUTES, Place.COLLAGE): sink_gestures.set_attributes_of_list,
    (Operation.SET_ATTRIBUTES, Place.COLLAGES): sink_gestures.set_attributes_of_list,
    (Operation.SET_ATTRIBUTES, Place.PLAYLISTS): sink_gestures.set_attributes_of_list,
    (Operation.SET_NEW, Place.RELEASES): release_gestures.set_new,
    (Operation.SET_NEW, Place.COLLAGE): release_gestures.set_new,
    (Operation.UNLINK, Place.RELEASE): removal_gestures.remove_file,
    (Operation.UNLINK, Place.ALL_TRACKS): removal_gestures.remove_file,
    (Operation.UNLINK, Place.COLLAGE_RELEASE): removal_gestures.hide,
    (Operation.UNLINK, Place.COLLAGE_TRACKS): removal_gestures.hide,
    (Operation.UNLINK, Place.PLAYLIST): list_gestures.remove_from_playlist,
    (Operation.UNLINK, Place.SINK): sink_gestures.unlink,
    (Operation.RMDIR, Place.RELEASES): removal_gestures.remove_release,
    (Operation.RMDIR, Place.COLLAGE): list_gestures.remove_from_collage,
    (Operation.RMDIR, Place.COLLAGES): list_gestures.remove_list,
    (Operation.RMDIR, Place.PLAYLISTS): list_gestures.remove_list,
    (Operation.RMDIR, Place.SINK): sink_gestures.remove_directory,
    (Operation.MKDIR, Place.COLLAGES): list_gestures.create_list,
    (Operation.MKDIR, Place.PLAYLISTS): list_gestures.create_list,
    (Operation.MKDIR, Place.COLLAGE): sink_gestures.make_member,
    (Operation.MKDIR, Place.SINK): sink_gestures.make_directory,
    (Operation.RENAME, Place.RELEASE): release_gestures.rename_file,
    (Operation.RENAME, Place.RELEASES): release_gestures.move_release,
    (Operation.RENAME, Place.COLLAGES): list_gestures.rename_list,
    (Operation.RENAME, Place.PLAYLISTS): list_gestures.rename_list,
    (Operation.RENAME, Place.COLLAGE): list_gestures.move_member,
    (Operation.RENAME, Place.PLAYLIST): list_gestures.move_member,
    (Operation.RENAME, Place.SINK): sink_gestures.rename,
    (Operation.MKDIR, Place.RELEASES): arrival_gestures.begin,
    (Operation.MKDIR, Place.ARRIVAL): arrival_gestures.make_directory,
    (Operation.CREATE, Place.ARRIVAL): arrival_gestures.create,
    (Operation.WRITE, Place.ARRIVAL): arrival_gestures.expect_open,
    (Operation.SET_ATTRIBUTES, Place.ARRIVAL): arrival_gestures.set_attributes,
    (Operation.UNLINK, Place.ARRIVAL): arrival_gestures.remove_file,
    (Operation.RMDIR, Place.ARRIVAL): arrival_gestures.remove_directory,
    (Operation.RENAME, Place.ARRIVAL): arrival_gestures.rename,
}
"""Every gesture. The place is the directory that holds the name, of a rename the old one; of something that was just
copied into a collage or a playlist, it is ``SINK``, wherever that is."""


def perform(edits: Edits, operation: Operation, request: Request) -> Node | None:
    """Carries out a write operation. Returns the new file or directory, of those that make one.

    Raises:
        NotPermittedError: It means nothing here.
        FileSystemError: It could not be done; nothing was changed.
    """
    handler = GESTURES.get((operation, request.place))
    if handler is None:
        raise NotPermittedError(f"{operation.name.lower()} of {request.name!r}: no gesture in this place")
    made: Node | None = None
    with translated():
        made = handler(edits, request)
    edits.look()
    return made


@contextmanager
def translated() -> Iterator[None]:
    """Tells what goes wrong in the library, and what the disk refuses, as errors of the tree."""
    try:
        yield
    except CacheBehindError as error:
        log.warning("%s", error)  # it is done, and the next update makes up for the rest
    except FileSystemError:
        raise
    except LockTimeoutError as error:
        raise BusyError(str(error)) from error
    except NotFoundError as error:
        raise NoEntryError(str(error)) from error
    except AlreadyExistsError as error:
        raise ExistsError(str(error)) from error
    except InvalidNameError as error:
        raise InvalidRequestError(str(error)) from error
    except TrashError as error:
        raise SourceWriteError(error.errno or 0, str(error)) from error
    except RosecacheError as error:
        cause = error.__cause__
        number = cause.errno if isinstance(cause, OSError) else 0
        raise SourceWriteError(number or 0, str(error)) from error
    except OSError as error:
        raise SourceWriteError(error.errno or 0, str(error)) from error
