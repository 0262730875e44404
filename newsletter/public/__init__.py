"""The reader's pages: the archive, the feed, and the addresses inside the mails.

Comes in: a reader's or a mail program's request. Goes out: a page, a picture, a redirect to one of our Link rows. An open or a click
is only handed to the buffer; consent changes by POST alone, and through subscribers alone. Sets no cookie, needs no JavaScript.
"""
