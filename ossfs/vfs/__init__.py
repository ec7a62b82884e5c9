"""The meaning of a POSIX directory over a bucket; knows nothing of FUSE.

filesystem        `FileSystem`: the operations, by inode number, name and handle
assembly          puts everything below together
content           open, read, write, truncate, close
creation          create, mkdir, symlink, mknod
removal           unlink, rmdir, and open files whose name goes
renames           files by copy and delete, whole trees in parallel
listing           reading directories
metadata          stat, setattr, xattrs
status            `user.ossfs.*`
saving            uploads, retries, drain
attribute_saving  attributes that changed after the upload
lookups           from names to nodes, with what is known and what must be asked
foresight         small files opened ahead of who reads one after the other
flights           names that are asked for ahead
known_names       what a listing told of the names in a directory; pure
remote            what OSS says of names
tree              inode numbers, names, keys; pure
node              the state of one file or directory
handles           open files and directories
policy            what new files get, by where they are
server_side       changing how OSS encrypts what is stored
moving            the copies and deletes of a directory's rename, under one intent
journal           such intents, as objects in the bucket
recovery          settles what a crash cut short
owner             names a process so that others can tell its end
gate              keeps keys still while a directory is renamed
kernel            what is asked of whoever caches; the options of behaviour
"""
