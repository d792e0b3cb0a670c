"""Starts up, imports much, and ends: what a command-line tool does for most of its time."""
import asyncio, concurrent.futures, csv, ctypes, decimal, difflib, doctest, email.mime.text, fractions, http.server  # noqa: E401, F401
import json, logging.config, multiprocessing, optparse, pdb, pickle, plistlib, sqlite3, ssl, statistics, tarfile  # noqa: E401, F401
import unittest.mock, urllib.request, uuid, wsgiref.simple_server, xml.dom.minidom, xml.etree.ElementTree, zipfile  # noqa: E401, F401

import flask  # noqa: F401
