"""Edits of the source files: releases, covers, collages, playlists, imports; and taking them back."""
