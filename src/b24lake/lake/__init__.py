"""Delta tables in `LAKE/LAYER/TABLE`: staged, committed, found and queried; knows no Bitrix24.

table      where a table lies, whose it is, how far its stream has been read
staging    the rows of a read on disk, before they are a version
keys       what two versions differ in, and the guard against losing too much
replacing  commit_full: they become all there is
differing  which of them are not as they were
merging    commit_merge: they are merged on the key
evolution  what a changed schema does to a table
catalog    what is in a lake
query      SQL over it, in this process
guarded    SQL over it in a process that can be stopped, with limits of time and memory
"""
