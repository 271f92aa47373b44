"""Texts the sandbox's records are made of: four languages, and the characters that break careless readers."""

FIRST_NAMES = (
    "Анна", "Иван", "Ольга", "Дмитрий", "Елена", "Сергей", "Наталья", "Алексей", "Мария", "Павел", "Юлия", "Фёдор",
    "João", "Mariana", "Thiago", "Conceição", "Luís", "Beatriz", "Gonçalo", "Inês", "Rafael", "Camila",
    "John", "Emily", "Sarah", "Michael", "Grace", "Oliver", "Hannah", "Sean", "Zoë", "Noel",
    "Jürgen", "Käthe", "Björn", "Sabine", "Günther", "Anke", "Uwe", "Heike", "Matthias", "Jörg",
)  # fmt: skip

LAST_NAMES = (
    "Иванова", "Петров", "Сидоренко", "Кузнецов", "Щукина", "Объедков", "Ёлкина", "Мельник", "Журавлёв", "Цой",
    "Silva", "Gonçalves", "Araújo", "Magalhães", "dos Santos", "Corrêa", "Simões", "Brandão",
    "Smith", "O'Connor", "Johnson-Clarke", "McDonald", "D'Angelo", "Weaver", "Brown", "Taylor",
    "Müller", "Groß", "Schäfer", "Köhler", "von der Heide", "Weiß", "Krüger", "Jäger",
)  # fmt: skip

COMPANY_NAMES = (
    'ООО "Северный ветер"', "АО «Промтехснаб»", "ИП Щукина Е. В.", 'ЗАО "Ёлки & Палки"', "ООО «Кухни от 1990»",
    "Padaria São João Ltda.", "Construções Araújo & Filhos", "Café do Açúcar S.A.", "Óptica Visão",
    "Smith & Sons Ltd", "O'Brien \"Fast\" Logistics", "Back\\slash Software Inc.", "Rock'n'Roll Catering <Berlin>",
    "Müller & Söhne GmbH", "Straßenbau Groß KG", "Bäckerei Käthe e. K.", "Übersee-Handel AG",
)  # fmt: skip

TITLES = (
    "Поставка оборудования", "Ремонт офиса под ключ", "Сайт: редизайн 🚀", "Договор №", "Кухня «Венеция»",
    "Повторная продажа",
    "Fornecimento de móveis", "Manutenção anual", "Orçamento – instalação elétrica", "Licença de software",
    "Website redesign", 'Deal "as is"', "Path C:\\offers\\2025", "50% discount & free delivery", "Support plan <Gold>",
    "Büroausstattung", "Wartungsvertrag", "Küche für Familie Groß", "Überholung Maschine", "Rahmenvertrag 🤝",
)  # fmt: skip

NOTES = (
    "Клиент просит перезвонить после обеда.\nУдобное время — с 15:00 до 17:00.",
    "[B]Важно![/B] Скидка согласована, [I]но без монтажа[/I].\n[LIST]\n[*]замер\n[*]доставка\n[/LIST]",
    "Отправлено КП на почту 📧, ждём ответа. Конкурент предлагает на 5% дешевле :(",
    'Телефон занят; "перезвонить позже" — так и записать.',
    "Cliente pediu nova proposta até sexta-feira.\n\nObs.: frete incluído.",
    "Reunião confirmada às 10h – levar catálogo e amostras 🙂",
    '<p>Please <b>call back</b> &amp; send the <a href="https://example.com/?a=1&amp;b=2">offer</a></p>',
    'She said: "We need it by Monday". Files are in C:\\share\\deals\\new',
    "Tabs\tand\r\nline breaks, 'single' and \"double\" quotes, 100% real.",
    "Kunde wünscht Rückruf; Maße prüfen: 2,40 m × 60 cm. Größe „L“ genügt.",
    "Rechnung über 1.500,00 € geprüft ✅",
    "[URL=https://example.com/заявка]Заявка с сайта[/URL]\nUTM: лето/2025 ☀️",
)

STREETS = (
    "ул. Ленина, д. 5, кв. 12", "пр-т Мира, 101", "Rua das Flores, 221", "Av. Paulista, 1578 – cj. 42",
    "221B Baker Street", "7677 Hollow Ridge Alley", "Hauptstraße 17", "Königsallee 3a",
)  # fmt: skip
CITIES = ("Москва", "Санкт-Петербург", "São Paulo", "Lisboa", "London", "Springfield", "München", "Köln")
COUNTRIES = ("Россия", "Россия", "Brasil", "Portugal", "United Kingdom", "USA", "Deutschland", "Deutschland")
POSTS = ("Директор", "Главный бухгалтер", "Gerente de compras", "Sócio", "CEO", "Head of R&D", "Einkäufer", "Prokurist")
PRODUCTS = (
    "Стол письменный", "Кресло «Комфорт»", "Монтаж, 1 час", "Mesa de escritório", "Cadeira ergonômica", "Instalação",
    "Standing desk", 'Office chair 24"', "Consulting hour", "Schreibtisch", "Bürostuhl", "Lieferung & Aufbau",
)  # fmt: skip
DEPARTMENTS = (
    "Компания", "Отдел продаж", "Бухгалтерия", "Marketing & PR", "R&D", "Logística", "Suporte técnico", "Legal",
    "Vertrieb", "Einkauf", "Склад", "Кадры", "Produktion", "Design", "Qualitätssicherung", "Финансы",
)  # fmt: skip
OPTIONS = ("Да", "Нет", "Может быть", "Sim", "Não", "High", "Low", "Dringend", "Später", 'Особый "случай"')
LABELS = (
    "Дата замера", "Способ доставки", "Источник (старый)", "Orçamento aprovado", "Número do pedido", "Customer tier",
    "Delivery window", "Zahlungsziel", "Größe", "Комментарий менеджера", "Договор", "Ссылка на папку",
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "mail.example.ru", "correio.example.com.br", "post.example.de")
UTM_SOURCES, UTM_MEDIUMS = ("google", "yandex", "newsletter", "Яндекс.Директ"), ("CPC", "email", "referral")
UTM_CAMPAIGNS, UTM_TERMS = ("summer_sale", "brand", "лето-2025"), ("discount", "кухни на заказ", "büro möbel")
