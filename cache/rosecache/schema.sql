-- The cache's schema. Everything in it is derived from the files of the music source directory and can be
-- thrown away at any time; only the update writes to it. A change of this file's text makes another database
-- file (see database.py), so there are no migrations.
--
-- Conventions: `*_key` are integers that live as long as the database and never leave it; `id` are the UUIDs of
-- tags and datafiles, as canonical text. Paths are BLOBs: the raw bytes of the file system, relative to what the
-- comment says. Times are integer nanoseconds since the epoch. A NULL is "the tags say nothing".

-- One row: what this database is.
CREATE TABLE meta (
    fingerprint TEXT NOT NULL,  -- hash of schema, program version and cache-shaping settings; also in the file name
    epoch       TEXT NOT NULL   -- random, made with the file: positions in the change feed of another one mean nothing
);

-- One row for a directory directly below the source directory that holds readable audio files.
CREATE TABLE releases (
    key             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    directory       BLOB NOT NULL UNIQUE,  -- name of the directory
    stamp           BLOB NOT NULL,         -- digest of names, sizes and times of all its files; empty: look again
    title           TEXT NOT NULL,         -- empty if the tags have none
    type            TEXT NOT NULL,         -- one of model.RELEASE_TYPES
    releasedate     TEXT,                  -- YYYY or YYYY-MM-DD, as the next two
    originaldate    TEXT,
    compositiondate TEXT,
    edition         TEXT,
    catalognumber   TEXT,
    added_at        TEXT NOT NULL,         -- from the datafile, ISO 8601 with offset
    new             INTEGER NOT NULL,      -- from the datafile, 0 or 1
    datafile_mtime  INTEGER NOT NULL,
    mtime           INTEGER NOT NULL,      -- when anything of the release last changed; never goes back
    metahash        TEXT NOT NULL,         -- digest of everything shown of the release and of its tracks
    naming          INTEGER NOT NULL,      -- what `names` here and in tracks are made by, see naming.py; 0: not made
    names           TEXT NOT NULL          -- what it is called by each name template, with slashes between the names
);
CREATE INDEX releases_by_naming ON releases (naming);
CREATE INDEX releases_by_time ON releases (type, mtime);  -- when a view changed last is found in it alone
CREATE INDEX new_releases_by_time ON releases (mtime) WHERE new;

-- One row for a readable audio file.
CREATE TABLE tracks (
    key              INTEGER PRIMARY KEY,
    id               TEXT NOT NULL UNIQUE,
    release_key      INTEGER NOT NULL REFERENCES releases (key) ON DELETE CASCADE,
    path             BLOB NOT NULL,        -- below the release's directory
    size             INTEGER NOT NULL,     -- bytes
    mtime            INTEGER NOT NULL,
    ctime            INTEGER NOT NULL,     -- time of the inode's change: notices a tagger that puts mtime back
    title            TEXT NOT NULL,        -- empty if the tags have none
    tracknumber      TEXT NOT NULL,        -- text: vinyl sides are A1
    discnumber       TEXT NOT NULL,
    duration_seconds INTEGER NOT NULL,     -- 0 if unknown
    metahash         TEXT NOT NULL,        -- digest of what is shown of the track itself
    names            TEXT NOT NULL,        -- as in releases, whose `naming` says by what
    UNIQUE (release_key, path)
);
CREATE INDEX tracks_by_disc ON tracks (release_key, discnumber);  -- totals are counted from it alone

-- By what names a release can be found: each of its names once.
CREATE TABLE release_names (
    hash        INTEGER NOT NULL,          -- naming.hash_name of a name: others may have the same
    release_key INTEGER NOT NULL REFERENCES releases (key) ON DELETE CASCADE,
    PRIMARY KEY (hash, release_key)
) WITHOUT ROWID;
CREATE INDEX release_names_by_release ON release_names (release_key);

-- Every other file of a release, so that whatever the tree shows can be stat'ed from here.
CREATE TABLE files (
    release_key INTEGER NOT NULL REFERENCES releases (key) ON DELETE CASCADE,
    path        BLOB NOT NULL,             -- below the release's directory
    kind        TEXT NOT NULL,             -- cover | datafile | extra | broken (an audio file that cannot be read)
    size        INTEGER NOT NULL,
    mtime       INTEGER NOT NULL,
    ctime       INTEGER NOT NULL,
    problem     TEXT,                      -- why it is broken; reported again by every update
    PRIMARY KEY (release_key, path)
) WITHOUT ROWID;
CREATE INDEX files_with_problems ON files (release_key) WHERE problem IS NOT NULL;

-- What releases are browsed by, here and below, has `new` and `mtime` of its release in each row, as it is stored with
-- it. In an index by value, they tell without a look at any release which of them are new only, and when one changed last.

-- Artist names, once each. A name stays when nobody is credited any more; queries ask for credits.
CREATE TABLE artists (
    key  INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE release_artists (
    release_key INTEGER NOT NULL REFERENCES releases (key) ON DELETE CASCADE,
    position    INTEGER NOT NULL,          -- order within the release, over all roles
    role        TEXT NOT NULL,             -- one of model.ROLES
    artist_key  INTEGER NOT NULL REFERENCES artists (key),
    new         INTEGER NOT NULL,          -- as in releases
    mtime       INTEGER NOT NULL,          -- as in releases
    PRIMARY KEY (release_key, position)
) WITHOUT ROWID;
CREATE INDEX release_artists_by_artist ON release_artists (artist_key, new, mtime);

CREATE TABLE track_artists (
    track_key  INTEGER NOT NULL REFERENCES tracks (key) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    role       TEXT NOT NULL,
    artist_key INTEGER NOT NULL REFERENCES artists (key),
    PRIMARY KEY (track_key, position)
) WITHOUT ROWID;
CREATE INDEX track_artists_by_artist ON track_artists (artist_key);

-- Genres, secondary genres, descriptors and labels, once each. A value stays when no release has it.
CREATE TABLE facets (
    key   INTEGER PRIMARY KEY,
    kind  TEXT NOT NULL,                   -- genre | secondary_genre | descriptor | label
    value TEXT NOT NULL,
    UNIQUE (kind, value)
);

CREATE TABLE release_facets (
    release_key INTEGER NOT NULL REFERENCES releases (key) ON DELETE CASCADE,
    facet_key   INTEGER NOT NULL REFERENCES facets (key),
    position    INTEGER NOT NULL,          -- order within the release and kind
    new         INTEGER NOT NULL,          -- as in releases
    mtime       INTEGER NOT NULL,          -- as in releases
    PRIMARY KEY (release_key, facet_key)
) WITHOUT ROWID;
CREATE INDEX release_facets_by_facet ON release_facets (facet_key, new, mtime);

-- Files of !collages. The name is the file's stem.
CREATE TABLE collages (
    key      INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    stamp    BLOB NOT NULL,                -- digest of size and times of the file
    mtime    INTEGER NOT NULL,
    checked  INTEGER NOT NULL              -- position in the change feed up to which its members were looked at
);

CREATE TABLE collage_members (
    collage_key INTEGER NOT NULL REFERENCES collages (key) ON DELETE CASCADE,
    position    INTEGER NOT NULL,          -- from 1, as in the file
    release_id  TEXT NOT NULL,             -- need not be in releases: then it is missing
    missing     INTEGER NOT NULL,
    PRIMARY KEY (collage_key, position)
) WITHOUT ROWID;
CREATE INDEX collage_members_by_release ON collage_members (release_id);

-- Files of !playlists, as above, with a cover of the same stem.
CREATE TABLE playlists (
    key         INTEGER PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    stamp       BLOB NOT NULL,
    mtime       INTEGER NOT NULL,
    checked     INTEGER NOT NULL,
    cover       BLOB,                      -- file name in !playlists
    cover_size  INTEGER,
    cover_mtime INTEGER
);

CREATE TABLE playlist_members (
    playlist_key INTEGER NOT NULL REFERENCES playlists (key) ON DELETE CASCADE,
    position     INTEGER NOT NULL,
    track_id     TEXT NOT NULL,
    missing      INTEGER NOT NULL,
    PRIMARY KEY (playlist_key, position)
) WITHOUT ROWID;
CREATE INDEX playlist_members_by_track ON playlist_members (track_id);

-- Full-text search: the row numbers are releases.key and tracks.key, the text is every shown field, a line each.
-- detail=none keeps the index small and answers no phrases: the trigrams of a pattern are ANDed, and the
-- candidates checked against the text.
CREATE VIRTUAL TABLE releases_text USING fts5 (text, tokenize = 'trigram', detail = none, columnsize = 0);
CREATE VIRTUAL TABLE tracks_text USING fts5 (text, tokenize = 'trigram', detail = none, columnsize = 0);

-- The change feed: what every transaction of an update changed, written in that transaction.
CREATE TABLE changes (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    kind     TEXT NOT NULL,                -- release | collage | playlist
    id       TEXT NOT NULL,                -- release id, or name
    change   TEXT NOT NULL                 -- added | changed | removed
);
CREATE INDEX changes_by_id ON changes (kind, id);

-- When a listing lost something that took no newer time with it: a directory's mtime never goes back.
CREATE TABLE losses (
    kind  TEXT NOT NULL,                   -- release | new | artist | genre | descriptor | label | loose_track |
                                           -- collage | playlist
    value TEXT NOT NULL,                   -- the artist, genre …; empty for the kinds that have one listing
    at    INTEGER NOT NULL,
    PRIMARY KEY (kind, value)
) WITHOUT ROWID;
