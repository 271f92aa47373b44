"""Delta tables in `LAKE/LAYER/TABLE`: staged, committed, found and queried; knows no Bitrix24.

place      where a lake lies: a folder, or a prefix in an object store
settings   how a store is reached
faults     what its answers mean
files      a table's files on either
table      where a table lies, whose it is, how far its stream has been read
staging    the rows of a read on disk, before they are a version
parts      its finished files
held       its rows that are in none of them yet
unfinished reads that were cut off
superseding rows that came twice within a read
sweeping   what is left over goes
commits    what every commit has in common
others     what other programs did to a table's rows
keys       what two versions differ in, and the guard against losing too much
replacing  commit_full: they become all there is
differing  which of them are not as they were
merging    commit_merge: they are merged on the key
rewriting  which files of a table change by that, and what is in them then
evolution  what a changed schema does to a table
log        what a table's log says of files and bookmarks
sizes      how much each version holds
versions   the versions of a table, and which of them can be read
looking    rows of one version, quickly
comparing  what became of the rows from one version to another
comparing_apart   the same in a process that can be stopped
restoring  an earlier version becomes the newest one
bookmarks  where the next incremental read begins, seen and set by hand
retention  how long versions are kept
compacting small files become larger ones
catalog    what is in a lake
layers     its layers
moving     a table as a whole: described, grouped, moved, renamed, deleted
describing its columns, in people's own words
readable   labels beside ids: the SELECT of a readable view
views      the readable views of a lake
statement  SQL taken apart: which tables, as of when, and that it only reads
reach      which tables somebody may read, in SQL too
pointing   where in its SQL an error lies
query      SQL over a lake, in this process
guarded    SQL over it in a process that can be stopped, with limits of time and memory
texts      columns as text, for CSV and JSON
exporting  rows as a file
"""
