from portals import asked as asked
from portals import opened as opened
