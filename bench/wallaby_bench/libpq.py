"""A connection that stays open, through the libpq of the system: what a benchmark asks often must not start a psql each time.

Values come as text, None for null. Calls leave other Python threads running while they wait.
"""

import ctypes
import ctypes.util

_pq = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
_POINTERS = ("PQconnectdb", "PQexec")
_TEXTS = ("PQerrorMessage", "PQresultErrorMessage", "PQgetvalue")
for _name in _POINTERS:
    getattr(_pq, _name).restype = ctypes.c_void_p
for _name in _TEXTS:
    getattr(_pq, _name).restype = ctypes.c_char_p
_CONNECTION_OK, _COMMAND_OK, _TUPLES_OK = 0, 1, 2


class Connection:
    def __init__(self, dsn):
        self._handle = ctypes.c_void_p(_pq.PQconnectdb(dsn.encode()))
        if _pq.PQstatus(self._handle) != _CONNECTION_OK:
            raise RuntimeError(f"cannot connect: {_pq.PQerrorMessage(self._handle).decode().strip()}")
        self.rows("SET client_min_messages = warning")

    def rows(self, sql):
        """Runs SQL and gives the last statement's rows."""
        result = ctypes.c_void_p(_pq.PQexec(self._handle, sql.encode()))
        try:
            if _pq.PQresultStatus(result) not in (_COMMAND_OK, _TUPLES_OK):
                message = (_pq.PQresultErrorMessage(result) or _pq.PQerrorMessage(self._handle)).decode().strip()
                raise RuntimeError(f"{message}\n{sql[:300]}")
            columns = range(_pq.PQnfields(result))
            return [[self._value(result, row, column) for column in columns] for row in range(_pq.PQntuples(result))]
        finally:
            _pq.PQclear(result)

    @staticmethod
    def _value(result, row, column):
        return None if _pq.PQgetisnull(result, row, column) else _pq.PQgetvalue(result, row, column).decode()

    def value(self, sql):
        """The first value of the first row; None without rows."""
        rows = self.rows(sql)
        return rows[0][0] if rows else None

    def close(self):
        if self._handle:
            _pq.PQfinish(self._handle)
            self._handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
