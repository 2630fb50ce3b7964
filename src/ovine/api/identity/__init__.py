"""Local identity: a minimal Identity v3 for one machine, so that the `openstack` client works without Keystone.

Users and projects stand in a file; see `users` (the file), `tokens` (signed, expiring) and `app` (the HTTP service).
"""
