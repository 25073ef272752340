"""`SqlDirectory`: its methods, and the parts that implement them."""

from functools import partial

from lamplighter.clock import Clock
from lamplighter.database.engine import Database
from lamplighter.homeserver.sql.account_data import AccountData
from lamplighter.homeserver.sql.accounts import AccountBook
from lamplighter.homeserver.sql.creation import RoomCreation
from lamplighter.homeserver.sql.devices import AccessTokens, Devices
from lamplighter.homeserver.sql.history import History
from lamplighter.homeserver.sql.ledger import Ledger
from lamplighter.homeserver.sql.membership import BAN, KICK, UNBAN, RoomMemberships
from lamplighter.homeserver.sql.messages import Messages
from lamplighter.homeserver.sql.reading import RoomReader
from lamplighter.homeserver.sql.receipts import Receipts
from lamplighter.homeserver.sql.room_directory import RoomDirectory
from lamplighter.homeserver.sql.sync import RoomsSyncer
from lamplighter.homeserver.sql.typing_notices import TypingNotices
from lamplighter.ids import ServerName

__all__ = ["SqlDirectory"]


class SqlDirectory:
    """The directory of the built-in homeserver, in a SQL database, which has been migrated before.

    Nothing but `start` may be called before `start` has returned. A server calls `members` next: it
    learns whom the news of rooms concern. Who tells nobody any news, as a command does, need not.
    """

    def __init__(self, database: Database, server_name: ServerName, clock: Clock) -> None:
        self.server_name = server_name
        ledger = Ledger(database, clock)
        tokens = AccessTokens(ledger)
        devices = Devices(ledger, tokens)
        memberships = RoomMemberships(ledger, server_name)
        messages = Messages(ledger, memberships)
        rooms = RoomDirectory(ledger, server_name)
        creation = RoomCreation(ledger, server_name, memberships, rooms)
        accounts = AccountBook(ledger, server_name, devices, memberships)
        data = AccountData(ledger)
        typing = TypingNotices(ledger, clock)
        self.set_typing = typing.set_typing
        self.set_receipt = Receipts(ledger).set_receipt
        syncer = RoomsSyncer(ledger, typing)
        self.listen = ledger.listen
        self.tell_news = ledger.tell_news
        self.refuse_writes = ledger.refuse_writes
        self.authenticate = tokens.authenticate
        self.requester_in_use = tokens.requester_in_use
        self.is_guest = tokens.is_guest
        self.register = accounts.register
        self.check_available = accounts.check_available
        self.check_password = accounts.check_password
        self.set_password = accounts.set_password
        self.account = accounts.account
        self.accounts = accounts.accounts
        self.deactivate = accounts.deactivate
        self.log_in = devices.log_in
        self.log_out = devices.log_out
        self.log_out_all = devices.log_out_all
        self.devices = devices.devices
        self.device = devices.device
        self.rename_device = devices.rename_device
        self.delete_devices = devices.delete_devices
        self.profile = accounts.profile
        self.set_displayname = accounts.set_displayname
        self.set_avatar_url = accounts.set_avatar_url
        self.account_data = data.account_data
        self.set_account_data = data.set_account_data
        self.save_filter = data.save_filter
        self.filter = data.filter
        self.create_room = creation.create_room
        self.join = memberships.join
        self.leave = memberships.leave
        self.invite = memberships.invite
        self.kick = partial(memberships.act, KICK)
        self.ban = partial(memberships.act, BAN)
        self.unban = partial(memberships.act, UNBAN)
        self.send_event = messages.send_event
        self.set_state = messages.set_state
        self.sync_rooms = syncer.sync_rooms
        self.rooms_are_quiet = ledger.stream.is_quiet
        self._join_nodes(ledger, accounts)
        self._find_rooms(rooms)
        self._read_rooms(ledger)
        self._ledger = ledger

    async def start(self) -> None:
        """Read the position of the stream; the first time, begin a stream."""
        await self._ledger.start()

    def _join_nodes(self, ledger: Ledger, accounts: AccountBook) -> None:
        """Take in what many nodes need."""
        self.join_cluster = ledger.join_cluster
        self.is_one_of_many = ledger.is_one_of_many
        self.leave_news = ledger.leave_news
        self.heard = ledger.heard
        self.tell_untold = ledger.tell_untold
        self.hear_stored = ledger.hear_stored
        self.kept_news = ledger.kept_news
        self.finish_deactivations = accounts.finish_deactivations

    def _read_rooms(self, ledger: Ledger) -> None:
        """Take in the reads of rooms that are no part of a sync."""
        reader = RoomReader(ledger)
        self.members = reader.members
        self.joined_rooms = reader.joined_rooms
        self.joined_members = reader.joined_members
        self.room_name = reader.room_name
        self.state = reader.state
        self.state_event = reader.state_event
        self.state_for_modules = reader.state_for_modules
        self.room_initial_sync = reader.room_initial_sync
        history = History(ledger)
        self.messages = history.messages
        self.event = history.event
        self.context = history.context

    def _find_rooms(self, rooms: RoomDirectory) -> None:
        """Take in the room directory."""
        self.public_rooms = rooms.public_rooms
        self.is_published = rooms.is_published
        self.publish = rooms.publish
        self.room_aliases = rooms.room_aliases
        self.search_people = rooms.search_people
        self.resolve_alias = rooms.resolve_alias
        self.set_alias = rooms.set_alias
        self.delete_alias = rooms.delete_alias
