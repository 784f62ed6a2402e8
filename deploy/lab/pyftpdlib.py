# The FTP server of the lab beside vsftpd, pyftpdlib 1.5.7, without any setting: its
# active data connections come from any port, and begin before it has answered PORT.
# Arguments: port, user, password, directory, user id, first and last passive port.
import os
import sys

from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler
from pyftpdlib.servers import FTPServer

port, user, password, home, uid, first, last = sys.argv[1:]

FTPHandler.authorizer = DummyAuthorizer()
FTPHandler.authorizer.add_user(user, password, home, perm="elradfmwMT")

if int(first):
    FTPHandler.passive_ports = range(int(first), int(last) + 1)

server = FTPServer(("::", int(port)), FTPHandler)  # IPv4 clients too
os.setgroups([])
os.setgid(int(uid))
os.setuid(int(uid))
server.serve_forever()
